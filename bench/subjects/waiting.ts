import { readFileSync } from "node:fs";

/**
 * Nanoseconds that this thread has been ready to run but had no processor (Linux, proc(5): schedstat); 0 where that is
 * not told. Of a pause, this part is the machine's and not the store's.
 */
export function waitedNanoseconds(): number {
  try {
    return Number(readFileSync("/proc/thread-self/schedstat", "utf8").split(" ")[1]);
  } catch {
    return 0;
  }
}
