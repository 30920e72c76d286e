// Embershard in a process of its own: one table with Adagrad, filled by pushes, then asked to pull, push, create rows or
// push for a longer time across checkpoints.
import { adagrad, openStore, rowWiseAdagrad } from "../../lib/index.js";
import { type Distribution, Draws, keysOfRows } from "./keys.js";
import { nanoseconds, type Reply, serveLines, settingsOf } from "./line-server.js";
import { CHUNK_BATCHES, gradientsOf, LEARNING_RATE, type RowsSettings } from "./rows-settings.js";
import { Strangers } from "./strangers.js";
import { waitedNanoseconds } from "./waiting.js";

const { directory, rows, dim, batch, hugePages, level, evicting, seed, stored } = settingsOf<RowsSettings>();
const emptyBytes = process.memoryUsage.rss();
const store = await openStore(directory, {
  hugePages,
  control: false,
  ...(level === "memory" ? { checkpoint: false as const } : {}),
});
const { optimizer, ...storage } = stored ?? {};
const table = await store.table("rows", {
  dim,
  optimizer: (optimizer === "rowWiseAdagrad" ? rowWiseAdagrad : adagrad)({ learningRate: LEARNING_RATE }),
  ...storage,
  logged: level !== "memory",
  ack: level,
  ...(evicting && { eviction: { maxRows: rows } }),
});
const into = new Float32Array(batch * dim);
const gradients = gradientsOf(batch * dim);
const draws = new Draws(rows, seed);
let created = 0;

/** Pushes to `count` keys that the table does not have yet. Returns the time of the pushes, the longest, and the longest less its waiting for a processor. */
async function create(count: number, size: number): Promise<Reply> {
  let ns = 0;
  let longestNs = 0;
  let longestOwnNs = 0;
  for (const end = created + count; created < end; ) {
    const keys = keysOfRows(created, Math.min(size, end - created));
    const waited = waitedNanoseconds();
    if (storage.admission) await table.pull(keys, { create: true });
    const start = nanoseconds();
    await table.push(keys, gradients.subarray(0, keys.length * dim));
    const spent = nanoseconds() - start;
    ns += spent;
    longestNs = Math.max(longestNs, spent);
    longestOwnNs = Math.max(longestOwnNs, spent - (waitedNanoseconds() - waited));
    created += keys.length;
  }
  return { rows: count, ns, longestNs, longestOwnNs };
}

async function visit(operation: string, distribution: Distribution, limitMs: number): Promise<Reply> {
  let ns = 0;
  let visited = 0;
  while (ns < limitMs * 1e6) {
    const batches = draws.batches(distribution, CHUNK_BATCHES, batch);
    const start = nanoseconds();
    if (operation === "pull") for (const keys of batches) await table.pull(keys, { into });
    else for (const keys of batches) await table.push(keys, gradients);
    ns += nanoseconds() - start;
    visited += batches.length * batch;
  }
  return { rows: visited, ns };
}

/**
 * Pushes batches of which the twentieth part are new keys, or, where nothing is evicted, none. Keys that are there are looked
 * for beforehand, since a key that was evicted would be new, too.
 */
async function renew(limitMs: number): Promise<Reply> {
  const fresh = evicting ? Math.floor(batch / 20) : 0;
  const kept = new Draws(rows, seed + created);
  let ns = 0;
  let longestOwnNs = 0;
  let visited = 0;
  while (ns < limitMs * 1e6) {
    const batches: BigUint64Array[] = [];
    for (const drawn of kept.batches("uniform", CHUNK_BATCHES, 2 * batch)) {
      const found = await table.contains(drawn);
      batches.push(drawn.filter((_, i) => found[i] === 1).subarray(0, batch));
    }
    for (const keys of batches) {
      keys.set(keysOfRows(created, fresh), batch - fresh);
      created += fresh;
      const waited = waitedNanoseconds();
      const start = nanoseconds();
      await table.push(keys, gradients);
      const spent = nanoseconds() - start;
      ns += spent;
      longestOwnNs = Math.max(longestOwnNs, spent - (waitedNanoseconds() - waited));
      visited += batch;
    }
  }
  return { rows: visited, ns, longestOwnNs, evicted: (await table.stats()).evicted?.capacity ?? 0 };
}

const strangers = new Strangers(rows);

/** Pushes uniform batches of which a share of the keys had no row when the table was filled. */
async function pushStrangers(share: number, limitMs: number): Promise<Reply> {
  let ns = 0;
  let visited = 0;
  while (ns < limitMs * 1e6) {
    const batches = draws.batches("uniform", CHUNK_BATCHES, batch);
    for (const keys of batches) strangers.mixInto(keys, share);
    const start = nanoseconds();
    for (const keys of batches) await table.push(keys, gradients);
    ns += nanoseconds() - start;
    visited += batches.length * batch;
  }
  return { rows: visited, ns };
}

/** Waits until this process hardly uses the processor, 20 s at most: LevelDB compacts, rows come and go after pulls. */
async function rest(): Promise<void> {
  const sliceMs = 50;
  for (let quiet = 0, slices = 0; quiet < 3 && slices < 400; slices++) {
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, sliceMs));
    const { user, system } = process.cpuUsage(before);
    quiet = (user + system) / 1000 < sliceMs / 10 ? quiet + 1 : 0;
  }
}

/** Pushes a given number of Zipf batches, so that tables which get as many have the same frequencies, and rests. */
async function train(batches: number): Promise<Reply> {
  const own = new Draws(rows, seed + 1);
  const start = nanoseconds();
  for (let i = 0; i < batches; i++) await table.push(own.batches("zipf", 1, batch)[0], gradients);
  const ns = nanoseconds() - start;
  await settle();
  await rest();
  return { rows: batches * batch, ns };
}

/** Pushes, two in flight, for `leastMs` and until `checkpoints` automatic ones have ended, `mostMs` at most. */
async function sustain(leastMs: number, mostMs: number, checkpoints: number): Promise<Reply> {
  const pool = draws.batches("uniform", 128, batch);
  const before = await generation();
  const start = nanoseconds();
  let visited = 0;
  let previous: Promise<void> = Promise.resolve();
  for (let i = 0; ; i++) {
    const spentMs = (nanoseconds() - start) / 1e6;
    if (spentMs >= mostMs || (spentMs >= leastMs && (await generation()) - before >= checkpoints)) break;
    const next = table.push(pool[i % pool.length], gradients);
    await previous;
    previous = next;
    visited += batch;
  }
  await previous;
  const reply = { rows: visited, ns: nanoseconds() - start, checkpoints: (await generation()) - before };
  if (level === "os") await settle();
  return reply;
}

async function generation(): Promise<number> {
  return (await store.stats()).checkpoint?.generation ?? 0;
}

/** Leaves no background work to whoever is measured next. */
async function settle(): Promise<void> {
  for (;;) {
    try {
      await store.checkpoint();
      return;
    } catch (error) {
      if ((error as { code?: string }).code !== "BUSY") throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

const filled = await create(rows, batch);
await serveLines({ rows, fillNs: filled.ns }, async ([operation, ...words]) => {
  switch (operation) {
    case "create":
      return create(Number(words[0]), Number(words[1]));
    case "strangers":
      return pushStrangers(Number(words[0]), Number(words[1]));
    case "train":
      return train(Number(words[0]));
    case "cold": {
      const { bytes, cold } = await table.stats();
      return { bytes, hits: cold?.hits ?? 0, misses: cold?.misses ?? 0, rows: cold?.rows ?? 0 };
    }
    case "sustain":
      return sustain(Number(words[0]), Number(words[1]), Number(words[2]));
    case "renew":
      return renew(Number(words[0]));
    case "resident":
      return { bytes: process.memoryUsage.rss(), emptyBytes };
    case "checkpoint":
      await settle();
      return { ok: true };
    default: {
      const reply = await visit(operation, words[0] as Distribution, Number(words[1]));
      if (storage.memory !== undefined) await rest();
      return reply;
    }
  }
});
await store.close();
