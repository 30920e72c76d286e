import { availableParallelism } from "node:os";
import { type Figure, shown, target } from "../figure.js";
import { startIperf3 } from "../peers/iperf3.js";
import { startRedis } from "../peers/redis.js";
import { median, type Racer, race, ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { WireTable } from "../subjects/net-settings.js";
import type { Suite, SuiteContext } from "../suite.js";
import { halves } from "./net-halves.js";
import { plotNet } from "./net-plots.js";
import {
  bestAtOnce,
  FEW_ROUNDS,
  processorTime,
  startWire,
  type Wire,
  warmUp,
  wireTable,
} from "./net-subjects.js";

/** Cores from which two shards can be faster than one. */
const CORES_FOR_SHARDS = 4;
const TABLES = 26;
const TABLE_KEYS = 2048;
const LATENCY_KEYS = 256;

export const net: Suite = {
  name: "net",
  about: "pulling and pushing over the wire, against Redis, iperf3 and itself",
  async run(context) {
    const tables = [
      wireTable(context, 64),
      wireTable(context, 16),
      loggedTable(context),
      ...smallTables(context),
    ];
    const wire = await startWire(context, 1, tables);
    const figures = [
      ...(await againstRedis(context, wire, 64)),
      ...(await againstRedis(context, wire, 16)),
      ...(await againstIperf3(context, wire)),
      ...(await latencies(context, wire)),
      ...(await levels(context, wire)),
      ...(await manyTables(context, wire)),
      ...(await twoShards(context, wire)),
    ];
    await wire.stop();
    figures.push(...(await halves(context)));
    if (context.options.plot !== undefined) await plotNet(context, context.options.plot);
    return figures;
  },
};

function loggedTable(context: SuiteContext): WireTable {
  return wireTable(context, 64, { name: "logged", level: "os" });
}

/** They have as many rows as one table of dimension 16. */
function smallTables(context: SuiteContext): WireTable[] {
  const whole = wireTable(context, 16);
  const rows = Math.ceil(whole.rows / TABLES);
  return Array.from({ length: TABLES }, (_, i) => ({ ...whole, name: `part-${i}`, rows }));
}

/** A client as one side of a race: `race` gives operation and milliseconds. */
function racerOf(client: Subject, table: string, atOnce: number): Racer {
  return { name: client.name, rate: (operation, ms) => client.rate(operation, table, ms, atOnce) };
}

async function againstRedis(context: SuiteContext, { client }: Wire, dim: 64 | 16): Promise<Figure[]> {
  const { rounds, roundMs } = context.options;
  const { name: table, rows } = wireTable(context, dim);
  const redis = await startRedis(context, rows, 4 * dim);
  const figures: Figure[] = [];
  for (const operation of ["pull", "push"] as const) {
    const atOnce = await bestAtOnce(client, operation, table, roundMs);
    const own = racerOf(client, table, atOnce);
    if (redis) {
      const peer = await redis.racer(operation, roundMs);
      const rates = await race([own, peer], [operation, roundMs], rounds, { settle: true });
      figures.push(
        target(`net-${operation}-${dim}`, ratioOf(rates.get(own.name)!, rates.get("Redis")!), {
          peerName: "Redis",
          note: `${atOnce} batches at a time; Redis was fastest with ${peer.depth} requests on their way`,
        }),
      );
    } else {
      const rates = await race([own], [operation, roundMs], rounds);
      figures.push(shown(`net-${operation}-${dim}`, median(rates.get(own.name)!), { unit: "rows/s" }));
    }
  }
  await redis?.stop();
  return figures;
}

async function againstIperf3(context: SuiteContext, { client }: Wire): Promise<Figure[]> {
  const { rounds, roundMs } = context.options;
  const iperf3 = await startIperf3(context);
  if (!iperf3) return [];
  const atOnce = await bestAtOnce(client, "pull", "rows-64", roundMs);
  const own: Racer = {
    name: client.name,
    rate: async (_, ms) => 4 * 64 * (await client.rate("pull", "rows-64", ms, atOnce)),
  };
  const rates = await race([own, iperf3], ["pull", roundMs], rounds);
  const ratio = ratioOf(rates.get(own.name)!, rates.get("iperf3")!);
  return [target("net-pull-64-over-iperf3", ratio, { peerName: "iperf3", note: "bytes of rows" })];
}

/** Small pulls, one after the other: the medians of the rounds. */
async function latencies({ options }: SuiteContext, { client }: Wire): Promise<Figure[]> {
  const rounds: { p50: number; p99: number }[] = [];
  for (let round = 0; round <= options.rounds; round++) {
    const { p50, p99 } = await client.ask("latency", "rows-64", 2 * options.roundMs, LATENCY_KEYS);
    if (round > 0) rounds.push({ p50: Number(p50), p99: Number(p99) });
  }
  const note = `pulls of ${LATENCY_KEYS} rows of dim 64, one in flight`;
  return [
    target("net-latency-p50", median(rounds.map(({ p50 }) => p50)), { note }),
    target("net-latency-p99", median(rounds.map(({ p99 }) => p99)), { note }),
  ];
}

/** Pushes at level os, against those to a table that is not logged. */
async function levels(context: SuiteContext, wire: Wire): Promise<Figure[]> {
  const { rounds, roundMs } = context.options;
  const sides: Racer[] = [];
  for (const [name, table] of [
    ["level os", loggedTable(context).name],
    ["level memory", "rows-64"],
  ] as const) {
    // Few: seconds of pushes are gigabytes of log, which the system would still be writing to the disk for long after.
    const atOnce = await bestAtOnce(wire.client, "push", table, roundMs, FEW_ROUNDS);
    sides.push({ ...racerOf(wire.client, table, atOnce), name });
  }
  const rates = await race(sides, ["push", roundMs], rounds);
  return [
    target("net-push-os-over-memory", ratioOf(rates.get("level os")!, rates.get("level memory")!), {
      peerName: "level memory",
      note: "dim 64; without checkpoints, which the suite level has",
    }),
  ];
}

/** Many small tables in one request, against one table with as many keys and rows. */
async function manyTables(context: SuiteContext, { client }: Wire): Promise<Figure[]> {
  const { rounds, roundMs } = context.options;
  const whole = wireTable(context, 16).name;
  const names = smallTables(context).map(({ name }) => name);
  const figures: Figure[] = [];
  for (const operation of ["pull", "push"] as const) {
    const sides: Racer[] = [
      {
        name: "tables",
        rate: (_, ms) => client.rate(`${operation}-together`, names.join(","), ms, TABLE_KEYS),
      },
      {
        name: "one table",
        rate: (_, ms) => client.rate(`${operation}-together`, whole, ms, TABLES * TABLE_KEYS),
      },
    ];
    const rates = await race(sides, [operation, roundMs], rounds);
    const ratio = ratioOf(rates.get("tables")!, rates.get("one table")!);
    const details = { peerName: "one table", note: `requests of ${TABLE_KEYS} keys of each table` };
    figures.push(
      operation === "pull"
        ? target("net-26-tables", ratio, details)
        : shown("net-26-tables-push", ratio, { ...details, unit: "rows/s" }),
    );
  }
  return figures;
}

/** What it costs to have two shards, and what that brings where there are cores for them. */
async function twoShards(context: SuiteContext, one: Wire): Promise<Figure[]> {
  const { rounds, roundMs } = context.options;
  const two = await startWire(context, 2, [wireTable(context, 64)]);
  // What a client takes of a processor while it asks for news without sleeping is nobody's work.
  const sides = await Promise.all(
    [one, two].map(async (wire) => ({ ...wire, client: await wire.another(12, { polling: "never" }) })),
  );
  const figures: Figure[] = [];
  const words = ["rows-64", roundMs, 2] as const;
  const times: number[][] = [[], []];
  // Each of two shards compiles for itself, and has half of the requests.
  for (const { client } of sides)
    for (const operation of ["pull", "push", "pull", "push"] as const)
      await warmUp(client, operation, "rows-64", roundMs);
  for (let round = 0; round <= rounds; round++)
    for (const [i, wire] of sides.entries()) {
      const pulled = await processorTime(wire, "pull", ...words);
      const pushed = await processorTime(wire, "push", ...words);
      if (round > 0) times[i].push((pulled.ns + pushed.ns) / 2);
    }
  figures.push(
    target("net-two-shards-processor", ratioOf(times[1], times[0]), {
      peerName: "one shard",
      note: "processor time of a row, client and node, pulls and pushes alike; dim 64",
    }),
  );
  if (availableParallelism() < CORES_FOR_SHARDS)
    context.note(`rows/s of two shards over one is left out: it takes ${CORES_FOR_SHARDS} cores`);
  else {
    const racers = [one, two].map((wire, i) => ({
      ...racerOf(wire.client, "rows-64", 3),
      name: `${i + 1} shards`,
    }));
    const rates = await race(racers, ["pull", roundMs], rounds);
    const ratio = ratioOf(rates.get("2 shards")!, rates.get("1 shards")!);
    figures.push(target("net-two-shards", ratio, { peerName: "one shard", note: "pulls, dim 64" }));
  }
  await two.stop();
  return figures;
}
