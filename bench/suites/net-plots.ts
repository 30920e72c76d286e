import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type LineChart, lineChart } from "../../examples/plot/line-chart.js";
import { median } from "../race.js";
import type { Subject } from "../subject.js";
import type { Reply } from "../subjects/line-server.js";
import type { SuiteContext } from "../suite.js";
import { startWire, wireTable } from "./net-subjects.js";

const BATCHES = [64, 256, 1024, 4096, 16_384, 65_536];
const DIMS = [4, 8, 16, 32, 64, 128, 256];
const CLIENTS = [1, 2, 3, 4];
const SHARDS = [1, 2, 4];
const LOADS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
const LOAD_KEYS = 256;
const OPERATIONS = ["pull", "push"] as const;

/** Each is a process or a thread, which take their time to start. */
const most = ({ options }: SuiteContext) => (options.quick ? 2 : 4);

type Point = readonly [number, number];
type Lines = Map<string, Point[]>;

/** Draws rows/s against batch size, dimension, clients and shards, and the 99th percentile against the load. */
export async function plotNet(context: SuiteContext, directory: string): Promise<void> {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, chart: LineChart) =>
    writeFileSync(join(directory, `net-${name}.svg`), lineChart(chart));
  const rates = (title: string, label: string, lines: Lines, log = true): LineChart => ({
    title,
    x: { label, log },
    y: { label: "rows/s", from: 0 },
    series: [...lines].map(([name, points]) => ({ name, points })),
  });
  const { ofBatches, ofLoads } = await overBatchesAndLoads(context);
  write(
    "batch",
    rates("Rows per second over the wire against batch size (dim 64)", "keys in a batch", ofBatches),
  );
  write("load", {
    title: `Time of a pull of ${LOAD_KEYS} rows against the load (dim 64)`,
    x: { label: "requests a second that come", from: 0 },
    y: { label: "ms", log: true },
    series: [...ofLoads].map(([name, points]) => ({ name, points })),
  });
  write(
    "dim",
    rates("Rows per second over the wire against dimension", "dimension", await overDims(context)),
  );
  const clients = await overClients(context);
  write("clients", rates("Rows per second of a node against clients (dim 64)", "clients", clients, false));
  const shards = await overShards(context);
  write(
    "shards",
    rates("Rows per second of a node against shards (dim 64, 2 clients)", "shards", shards, false),
  );
}

/** The median of three tries. */
async function rateOf(client: Subject, ...words: readonly (string | number)[]): Promise<number> {
  const rates: number[] = [];
  for (let i = 0; i < 3; i++) rates.push(await client.rate(...words));
  return median(rates);
}

function put(lines: Lines, name: string, point: Point): void {
  lines.set(name, [...(lines.get(name) ?? []), point]);
}

async function overBatchesAndLoads(context: SuiteContext): Promise<{ ofBatches: Lines; ofLoads: Lines }> {
  const ms = context.options.roundMs;
  const wire = await startWire(context, 1, [wireTable(context, 64)]);
  const ofBatches: Lines = new Map();
  for (const size of BATCHES.filter((one) => one <= context.options.rows))
    for (const operation of OPERATIONS)
      put(ofBatches, operation, [size, await rateOf(wire.client, operation, "rows-64", ms, 2, size)]);
  const ofLoads: Lines = new Map();
  const highest = (await rateOf(wire.client, "pull", "rows-64", ms, 4, LOAD_KEYS)) / LOAD_KEYS;
  // As many are on their way at first as come while the client compiles.
  await wire.client.ask("load", "rows-64", 10 * ms, LOAD_KEYS, Math.ceil(highest / 2));
  for (const part of LOADS) {
    const rate = Math.ceil(part * highest);
    const { p50, p99 }: Reply = await wire.client.ask("load", "rows-64", 2 * ms, LOAD_KEYS, rate);
    put(ofLoads, "99th percentile", [rate, Number(p99)]);
    put(ofLoads, "median", [rate, Number(p50)]);
  }
  await wire.stop();
  return { ofBatches, ofLoads };
}

async function overDims(context: SuiteContext): Promise<Lines> {
  const lines: Lines = new Map();
  // A quarter of the rows: tables of all dimensions are there at once.
  const rows = Math.ceil(wireTable(context, 64).rows / 4);
  const tables = DIMS.map((dim) => wireTable(context, dim, { rows }));
  const wire = await startWire(context, 1, tables);
  for (const { name, dim } of tables)
    for (const operation of OPERATIONS)
      put(lines, operation, [dim, await rateOf(wire.client, operation, name, context.options.roundMs, 2)]);
  await wire.stop();
  return lines;
}

/** Rows per second of several clients at the same time. */
async function togetherRate(clients: readonly Subject[], operation: string, ms: number): Promise<number> {
  const tries: number[] = [];
  for (let i = 0; i < 3; i++) {
    const rates = await Promise.all(clients.map((client) => client.rate(operation, "rows-64", ms, 2)));
    tries.push(rates.reduce((sum, rate) => sum + rate, 0));
  }
  return median(tries);
}

async function overClients(context: SuiteContext): Promise<Lines> {
  const lines: Lines = new Map();
  const wire = await startWire(context, 1, [wireTable(context, 64)]);
  const clients = [wire.client];
  for (const count of CLIENTS.filter((one) => one <= most(context))) {
    while (clients.length < count) clients.push(await wire.another(clients.length));
    for (const operation of OPERATIONS)
      put(lines, operation, [count, await togetherRate(clients, operation, 2 * context.options.roundMs)]);
  }
  await wire.stop();
  return lines;
}

async function overShards(context: SuiteContext): Promise<Lines> {
  const lines: Lines = new Map();
  for (const shards of SHARDS.filter((one) => one <= most(context))) {
    const wire = await startWire(context, shards, [wireTable(context, 64)]);
    const clients = [wire.client, await wire.another(12)];
    for (const operation of OPERATIONS)
      put(lines, operation, [shards, await togetherRate(clients, operation, 2 * context.options.roundMs)]);
    await wire.stop();
  }
  return lines;
}
