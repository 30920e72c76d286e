// A thread that fetches memory from the system: it works on while the thread that wants the memory never comes back to
// its event loop, as one that pushes without waiting for anything does not.
import { parentPort } from "node:worker_threads";
import { systemCalls } from "../base/system-calls.js";

/** Bytes of memory that this process has, to be populated. */
export interface PopulateRequest {
  readonly address: bigint;
  readonly bytes: number;
}

/** MADV_POPULATE_WRITE of Linux's madvise(2). */
const madvPopulateWrite = 23;
/** Bytes of one call: while it runs, memory cannot grow. Where a hypervisor finds the memory first it takes 2.5 ms. */
const callBytes = 1 << 20;

parentPort?.on("message", ({ address, bytes }: PopulateRequest) => {
  const calls = systemCalls();
  for (let at = 0; calls && at < bytes; at += callBytes) {
    // What has been used meanwhile is left as it is; memory that is gone is refused, and so is the rest then.
    const done = calls.madviseAt(address + BigInt(at), Math.min(callBytes, bytes - at), madvPopulateWrite);
    if (done !== 0) return;
  }
});
