// Embershard under full uniform pushes at level os, first without and then with a checkpoint. A second loop of small
// pushes and pulls on the same thread feels every pause that a caller would.
import { readFileSync, writeFileSync } from "node:fs";
import { adagrad, openStore, type Table } from "../../lib/index.js";
import { Draws, keysOfRows } from "./keys.js";
import { nanoseconds, type Reply, serveLines, settingsOf } from "./line-server.js";
import { gradientsOf, LEARNING_RATE, type RowsSettings } from "./rows-settings.js";
import { waitedNanoseconds } from "./waiting.js";

const SMALL = 64;
const { directory, rows, dim, batch, hugePages, seed } = settingsOf<RowsSettings>();
const store = await openStore(directory, { hugePages, control: false, checkpoint: false });
const table = await store.table("rows", {
  dim,
  optimizer: adagrad({ learningRate: LEARNING_RATE }),
  ack: "os",
});
const gradients = gradientsOf(batch * dim);
const draws = new Draws(rows, seed);
const pool = draws.batches("uniform", 128, batch);
const small = draws.batches("uniform", 128, SMALL);

for (let from = 0; from < rows; from += batch) {
  const keys = keysOfRows(from, Math.min(batch, rows - from));
  await table.push(keys, gradients.subarray(0, keys.length * dim));
}
await store.checkpoint();

/** Pushes whole batches, two in flight, until `ended` says so. */
async function pushFully(ended: () => boolean): Promise<{ visited: number; longestNs: number }> {
  let visited = 0;
  let longestNs = 0;
  let previous: Promise<void> = Promise.resolve();
  for (let i = 0; !ended(); i++) {
    const start = nanoseconds();
    const next = table.push(pool[i % pool.length], gradients).then(() => {
      longestNs = Math.max(longestNs, nanoseconds() - start);
    });
    await previous;
    previous = next;
    visited += batch;
  }
  await previous;
  return { visited, longestNs };
}

interface Felt {
  readonly pushNs: number;
  readonly pullNs: number;
  /** The longest of either, less the time that it waited for a processor. */
  readonly ownNs: number;
}

/** A small push, a small pull, over and over: the longest time that one of them took. */
async function feel(target: Table, ended: () => boolean): Promise<Felt> {
  const into = new Float32Array(SMALL * dim);
  const few = gradients.subarray(0, SMALL * dim);
  const longest = { pushNs: 0, pullNs: 0, ownNs: 0 };
  const time = async (field: "pushNs" | "pullNs", work: () => Promise<unknown>): Promise<void> => {
    const waited = waitedNanoseconds();
    const start = nanoseconds();
    await work();
    const ns = nanoseconds() - start;
    longest[field] = Math.max(longest[field], ns);
    longest.ownNs = Math.max(longest.ownNs, ns - (waitedNanoseconds() - waited));
  };
  for (let i = 0; !ended(); i++) {
    const keys = small[i % small.length];
    await time("pushNs", () => target.push(keys, few));
    // One turn of the event loop, so that what others do between two requests counts as well.
    await time("pullNs", async () => {
      await target.pull(keys, { into });
      await new Promise((resolve) => setImmediate(resolve));
    });
  }
  return longest;
}

async function measure(work: () => Promise<unknown>): Promise<Reply> {
  const residentBytes = process.memoryUsage.rss();
  const peakIsOwn = resetPeak();
  let sampledBytes = residentBytes;
  const sampler = setInterval(() => {
    sampledBytes = Math.max(sampledBytes, process.memoryUsage.rss());
  }, 10);
  let over = false;
  const start = nanoseconds();
  const pushing = pushFully(() => over);
  const feeling = feel(table, () => over);
  await work();
  over = true;
  const [pushed, felt] = await Promise.all([pushing, feeling]);
  const ns = nanoseconds() - start;
  clearInterval(sampler);
  const peakBytes = Math.max(sampledBytes, peakIsOwn ? peakResident() : 0);
  return { rows: pushed.visited, ns, longestPushNs: pushed.longestNs, ...felt, residentBytes, peakBytes };
}

/** Starts the kernel's own record of the peak anew (Linux, proc(5)); false where that is not possible. */
function resetPeak(): boolean {
  try {
    writeFileSync("/proc/self/clear_refs", "5");
    return true;
  } catch {
    return false;
  }
}

function peakResident(): number {
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? 0) * 1024;
}

await serveLines({}, async ([operation, ms]) => {
  if (operation === "calm") {
    return measure(() => new Promise((resolve) => setTimeout(resolve, Number(ms))));
  }
  let pages = 0;
  const reply = await measure(() => store.checkpoint({ onProgress: (p) => (pages = p.total) }));
  return { ...reply, pages };
});
await store.close();
