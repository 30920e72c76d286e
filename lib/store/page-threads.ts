// The threads that own page stores. Starting one costs far more than opening a store in it, so they are used again.
import { Worker } from "node:worker_threads";
import { systemClock } from "../base/clock.js";

/** A thread that waits for another store is ended after so long, and at once where so many wait already. */
const idleMs = 5000;
const mostIdle = 4;

/** Threads that own no store, and what stops their time from running out. */
const idle = new Map<Worker, () => void>();

/** Gives a thread that owns no store, and whose replies nobody listens to. It does not keep the process alive. */
export function takePageThread(): Worker {
  for (const [worker, keep] of idle) {
    keep();
    idle.delete(worker);
    return worker;
  }
  const worker = new Worker(new URL("./page-thread-worker.js", import.meta.url), {
    name: "embershard-pages",
    // Not those of the process: some, such as --input-type, are for its own script only.
    execArgv: [],
  });
  worker.unref();
  return worker;
}

/** Takes a thread back that has closed its store and answered all that it was asked. */
export async function returnPageThread(worker: Worker): Promise<void> {
  // By name: a worker has listeners of its own.
  for (const event of ["message", "error", "exit"]) worker.removeAllListeners(event);
  // One that ends while it waits is a loss to nobody.
  worker.on("error", () => undefined);
  worker.once("exit", () => forget(worker));
  if (idle.size >= mostIdle) {
    await worker.terminate();
    return;
  }
  idle.set(
    worker,
    systemClock.after(idleMs, () => {
      forget(worker);
      void worker.terminate();
    }),
  );
}

function forget(worker: Worker): void {
  idle.get(worker)?.();
  idle.delete(worker);
}
