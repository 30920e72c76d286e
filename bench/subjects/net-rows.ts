// A client of a node in a process of its own: fills tables, then pulls and pushes batches, so many at a time.
import { adagrad, connect, type Table } from "../../lib/index.js";
import { Draws, keysOfRows } from "./keys.js";
import { nanoseconds, type Reply, serveLines, settingsOf } from "./line-server.js";
import type { ClientSettings, WireTable } from "./net-settings.js";
import { CHUNK_BATCHES, gradientsOf, LEARNING_RATE } from "./rows-settings.js";

const { address, tables: wanted, batch, seed, transfer = "f32" } = settingsOf<ClientSettings>();
const store = await connect(address, { transfer });

let gradientsKept: Float32Array = new Float32Array(0);

/** So many small gradients, the same ones for every batch. */
function someGradients(floats: number): Float32Array {
  if (gradientsKept.length < floats) gradientsKept = gradientsOf(floats);
  return gradientsKept.subarray(0, floats);
}

interface Filled {
  readonly table: Table;
  readonly dim: number;
  readonly draws: Draws;
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

/** What was spent between two looks: rows, time, processor time of this process. */
async function spending(
  rows: number,
  work: () => Promise<unknown>,
): Promise<{ ns: number; cpu: number; rows: number }> {
  const before = process.cpuUsage();
  const start = nanoseconds();
  await work();
  const ns = nanoseconds() - start;
  const { user, system } = process.cpuUsage(before);
  return { rows, ns, cpu: user + system };
}

/** Runs pieces of work for `limitMs`, and adds up what they spent. */
async function during(
  limitMs: number,
  piece: () => Promise<{ ns: number; cpu: number; rows: number }>,
): Promise<Reply> {
  const sum = { rows: 0, ns: 0, cpu: 0 };
  while (sum.ns < limitMs * 1e6) {
    const { rows, ns, cpu } = await piece();
    sum.rows += rows;
    sum.ns += ns;
    sum.cpu += cpu;
  }
  return sum;
}

/** Pulls or pushes, `atOnce` batches at a time. */
function visit(
  operation: string,
  name: string,
  limitMs: number,
  atOnce: number,
  size = batch,
): Promise<Reply> {
  const { table, dim, draws } = tables.get(name)!;
  const intos = Array.from({ length: atOnce }, () => new Float32Array(size * dim));
  const gradients = someGradients(size * dim);
  // Small batches come in numbers; a short try is one of few.
  const chunk = Math.max(atOnce, Math.min(CHUNK_BATCHES, limitMs / 4), Math.min(4 * limitMs, 65_536 / size));
  return during(limitMs, () => {
    const batches = draws.batches("uniform", Math.ceil(chunk), size);
    let next = 0;
    const lane = async (into: Float32Array) => {
      while (next < batches.length) {
        const keys = batches[next++];
        if (operation === "pull") await table.pull(keys, { into });
        else await table.push(keys, gradients);
      }
    };
    return spending(batches.length * size, () => Promise.all(intos.map(lane)));
  });
}

/** Pulls or pushes `size` keys of each of several tables as one request, one request after the other. */
function together(
  operation: string,
  names: readonly string[],
  limitMs: number,
  size: number,
): Promise<Reply> {
  const parts = names.map((name) => tables.get(name)!);
  const intos = parts.map(({ dim }) => new Float32Array(size * dim));
  const gradients = someGradients(size * Math.max(...parts.map(({ dim }) => dim)));
  const times = Math.min(8, Math.ceil(limitMs / 8));
  return during(limitMs, () => {
    const drawn = Array.from({ length: times }, () =>
      parts.map(({ draws }) => draws.batches("uniform", 1, size)[0]),
    );
    return spending(times * size * parts.length, async () => {
      for (const keys of drawn) {
        if (operation === "pull")
          await store.pull(parts.map(({ table }, i) => ({ table, keys: keys[i], into: intos[i] })));
        else
          await store.push(
            parts.map(({ table, dim }, i) => ({
              table,
              keys: keys[i],
              gradients: gradients.subarray(0, size * dim),
            })),
          );
      }
    });
  });
}

/** Pulls `size` keys, one request after the other; times in milliseconds. */
async function latency(name: string, limitMs: number, size: number): Promise<Reply> {
  const { table, dim, draws } = tables.get(name)!;
  const into = new Float32Array(size * dim);
  const times: number[] = [];
  for (const until = performance.now() + limitMs; performance.now() < until; ) {
    for (const keys of draws.batches("uniform", 64, size)) {
      const start = performance.now();
      await table.pull(keys, { into });
      times.push(performance.now() - start);
    }
  }
  return percentiles(times);
}

/**
 * Pulls `size` keys at `rate` requests a second, whether earlier ones are answered or not. Times are counted from when a
 * request was due.
 */
async function load(name: string, limitMs: number, size: number, rate: number): Promise<Reply> {
  const { table, dim, draws } = tables.get(name)!;
  const requests = Math.ceil((rate * limitMs) / 1000);
  const pool = draws.batches("uniform", 256, size);
  const intos = Array.from({ length: 64 }, () => new Float32Array(size * dim));
  const times: number[] = [];
  const running: Promise<void>[] = [];
  const start = performance.now();
  for (let sent = 0; sent < requests; ) {
    const due = Math.min(requests, Math.floor(((performance.now() - start) * rate) / 1000));
    for (; sent < due; sent++) {
      const at = start + (sent * 1000) / rate;
      const pulled = table.pull(pool[sent % pool.length], { into: intos[sent % intos.length] });
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
