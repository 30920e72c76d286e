// Advice to the system about memory. All of it is optional: without it the same work takes longer.
import { Worker } from "node:worker_threads";
import { systemCalls } from "../base/system-calls.js";
import type { PopulateRequest } from "./memory-populating.js";

const hugeBytes = 2 << 20;
/** Of Linux's madvise(2). */
const madvDontNeed = 4;
const madvHugePage = 14;

/**
 * Asks the system to back the bytes [from, to) of a memory with 2 MiB pages, which saves a page walk at each random
 * row. Returns whether it agreed.
 */
export function adviseHugePages(buffer: ArrayBuffer, from: number, to: number): boolean {
  const calls = systemCalls();
  if (!calls) return false;
  const first = Math.ceil(from / hugeBytes) * hugeBytes;
  const bytes = Math.floor(to / hugeBytes) * hugeBytes - first;
  return bytes <= 0 || calls.madvise(new Uint8Array(buffer, first, bytes), bytes, madvHugePage) === 0;
}

/**
 * Gives the bytes of a memory from `from` on, a multiple of 4096, back to the system now, and not when the last reference to it has
 * been collected. Returns whether it took them: what is read there from then on is zero.
 */
export function releaseMemory(buffer: ArrayBuffer, from = 0): boolean {
  const bytes = new Uint8Array(buffer, from);
  return systemCalls()?.madvise(bytes, bytes.length, madvDontNeed) === 0;
}

let populating: Worker | undefined;

/**
 * Has another thread of the process fetch the bytes [from, to) of a memory from the system, which zeroes them, so that
 * whoever uses them first does not wait for it. One request after the other; returns at once.
 */
export function populateAhead(buffer: ArrayBuffer, from: number, to: number): void {
  const calls = systemCalls();
  if (!calls || from >= to) return;
  populating ??= startPopulating();
  // The address: memory that grows again detaches the buffer, and its bytes stay where they are.
  const address = calls.addressOf(new Uint8Array(buffer)) + BigInt(from);
  populating.postMessage({ address, bytes: to - from } satisfies PopulateRequest);
}

function startPopulating(): Worker {
  const worker = new Worker(new URL("./memory-populating.js", import.meta.url), {
    name: "embershard-memory",
    // Not those of the process: some, such as --input-type, are for its own script only.
    execArgv: [],
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1 },
  });
  worker.unref();
  // It is there for speed only: without it the memory is fetched when it is used.
  worker.on("error", () => undefined);
  return worker;
}
