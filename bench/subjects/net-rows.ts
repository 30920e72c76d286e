// A client of a node in a process of its own: fills tables, then pulls and pushes batches, so many at a time.
import { adagrad, connect, type Table } from "../../lib/index.js";
import { Draws, keysOfRows } from "./keys.js";
import { nanoseconds, type Reply, serveLines, settingsOf } from "./line-server.js";
import type { ClientSettings, WireTable } from "./net-settings.js";
import { gradientsOf, LEARNING_RATE } from "./rows-settings.js";

const {
  address,
  tables: wanted,
  batch,
  seed,
  transfer = "f32",
  polling = "auto",
} = settingsOf<ClientSettings>();
const store = await connect(address, { transfer, polling });

let gradientsKept: Float32Array = new Float32Array(0);

/** So many small gradients, the same ones for every batch. */
function someGradients(floats: number): Float32Array {
  if (gradientsKept.length < floats) gradientsKept = gradientsOf(floats);
  return gradientsKept.subarray(0, floats);
}

/** Keys that are drawn beforehand and taken in turn: as many as the client of Redis draws. */
const DRAWN = 1 << 20;

interface Filled {
  readonly table: Table;
  readonly dim: number;
  readonly draws: Draws;
}

/** Requests of `size` keys of each of several tables, drawn once. */
class Requests {
  readonly #requests: readonly (readonly BigUint64Array[])[];
  #next = 0;

  constructor(parts: readonly Filled[], size: number) {
    const count = Math.max(1, Math.ceil(DRAWN / (size * parts.length)));
    const columns = parts.map(({ draws }) => draws.batches("uniform", count, size));
    this.#requests = Array.from({ length: count }, (_, i) => columns.map((column) => column[i]));
  }

  /** Keys of each table. */
  next(): readonly BigUint64Array[] {
    return this.#requests[this.#next++ % this.#requests.length];
  }
}

const drawn = new Map<string, Requests>();

function requestsOf(names: readonly string[], size: number): Requests {
  const label = `${names.join()} ${size}`;
  const requests =
    drawn.get(label) ??
    new Requests(
      names.map((name) => tables.get(name)!),
      size,
    );
  drawn.set(label, requests);
  return requests;
}

async function open({ name, dim, rows, level, storage }: WireTable): Promise<Filled> {
  const there = (await store.tables()).find((table) => table.name === name);
  const optimizer = adagrad({ learningRate: LEARNING_RATE });
  const table = await store.table(name, {
    dim,
    optimizer,
    logged: level !== "memory",
    ack: level,
    ...(storage && { storage }),
  });
  const step = 16_384;
  const gradients = someGradients(step * dim);
  for (let from = there?.rows ?? 0; from < rows; from += step) {
    const keys = keysOfRows(from, Math.min(step, rows - from));
    await table.push(keys, gradients.subarray(0, keys.length * dim));
  }
  return { table, dim, draws: new Draws(rows, seed) };
}

const tables = new Map<string, Filled>();
for (const one of wanted) tables.set(one.name, await open(one));

/** Has `lanes` work beside each other for `limitMs`: each gives the rows of one request. What was spent: rows, time, processor time. */
async function during(limitMs: number, lanes: readonly (() => Promise<number>)[]): Promise<Reply> {
  const before = process.cpuUsage();
  const start = nanoseconds();
  const until = start + limitMs * 1e6;
  let rows = 0;
  const run = async (lane: () => Promise<number>) => {
    while (nanoseconds() < until) {
      const visited = await lane();
      rows += visited;
    }
  };
  await Promise.all(lanes.map(run));
  const ns = nanoseconds() - start;
  const { user, system } = process.cpuUsage(before);
  return { rows, ns, cpu: user + system };
}

/** Pulls or pushes, `atOnce` batches at a time. */
function visit(
  operation: string,
  name: string,
  limitMs: number,
  atOnce: number,
  size = batch,
): Promise<Reply> {
  const { table, dim } = tables.get(name)!;
  const requests = requestsOf([name], size);
  const gradients = someGradients(size * dim);
  const lanes = Array.from({ length: atOnce }, () => {
    const into = new Float32Array(size * dim);
    return async () => {
      const [keys] = requests.next();
      if (operation === "pull") await table.pull(keys, { into });
      else await table.push(keys, gradients);
      return size;
    };
  });
  return during(limitMs, lanes);
}

/** Pulls or pushes `size` keys of each of several tables as one request, one request after the other. */
function together(
  operation: string,
  names: readonly string[],
  limitMs: number,
  size: number,
): Promise<Reply> {
  const parts = names.map((name) => tables.get(name)!);
  const requests = requestsOf(names, size);
  const intos = parts.map(({ dim }) => new Float32Array(size * dim));
  const gradients = parts.map(({ dim }) => someGradients(size * dim));
  const lane = async () => {
    const keys = requests.next();
    if (operation === "pull")
      await store.pull(parts.map(({ table }, i) => ({ table, keys: keys[i], into: intos[i] })));
    else await store.push(parts.map(({ table }, i) => ({ table, keys: keys[i], gradients: gradients[i] })));
    return size * parts.length;
  };
  return during(limitMs, [lane]);
}

/** Pulls `size` keys, one request after the other; times in milliseconds. */
async function latency(name: string, limitMs: number, size: number): Promise<Reply> {
  const { table, dim } = tables.get(name)!;
  const requests = requestsOf([name], size);
  const into = new Float32Array(size * dim);
  const times: number[] = [];
  for (const until = performance.now() + limitMs; performance.now() < until; ) {
    const [keys] = requests.next();
    const start = performance.now();
    await table.pull(keys, { into });
    times.push(performance.now() - start);
  }
  return percentiles(times);
}

/**
 * Pulls `size` keys at `rate` requests a second, whether earlier ones are answered or not. Times are counted from when a
 * request was due.
 */
async function load(name: string, limitMs: number, size: number, rate: number): Promise<Reply> {
  const { table, dim } = tables.get(name)!;
  const requests = Math.ceil((rate * limitMs) / 1000);
  const pool = requestsOf([name], size);
  const intos = Array.from({ length: 64 }, () => new Float32Array(size * dim));
  const times: number[] = [];
  const running: Promise<void>[] = [];
  const start = performance.now();
  for (let sent = 0; sent < requests; ) {
    const due = Math.min(requests, Math.floor(((performance.now() - start) * rate) / 1000));
    for (; sent < due; sent++) {
      const at = start + (sent * 1000) / rate;
      const pulled = table.pull(pool.next()[0], { into: intos[sent % intos.length] });
      running.push(pulled.then(() => void times.push(performance.now() - at)));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(running);
  return { ...percentiles(times), rows: requests * size, ns: (performance.now() - start) * 1e6 };
}

function percentiles(times: number[]): Reply {
  times.sort((a, b) => a - b);
  const at = (part: number) => times[Math.min(times.length - 1, Math.floor(part * times.length))];
  return { requests: times.length, p50: at(0.5), p99: at(0.99) };
}

await serveLines({}, async ([operation, name, ms, size, rest]) => {
  const limitMs = Number(ms);
  switch (operation) {
    case "latency":
      return latency(name, limitMs, Number(size));
    case "load":
      return load(name, limitMs, Number(size), Number(rest));
    case "pull-together":
    case "push-together":
      return together(operation.slice(0, 4), name.split(","), limitMs, Number(size));
    default:
      return visit(operation, name, limitMs, Number(size), rest === undefined ? batch : Number(rest));
  }
});
await store.close();
