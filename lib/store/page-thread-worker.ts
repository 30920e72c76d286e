// The thread that owns the engine: answers the calls of `openThreadPageStore` one after the other.
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { EmbershardError } from "../base/errors.js";
import { EntryBuffer, unpackEntries } from "./entry-buffer.js";
import { LevelPageStore } from "./level-page-store.js";
import type { PageEntry } from "./page-store.js";
import type { PageAnswer, PageCall, PageReply, PageRequest } from "./page-thread-messages.js";

const port = parentPort as MessagePort;
const store = new LevelPageStore((workerData as { directory: string }).directory);
const iterations = new Map<number, AsyncIterator<readonly PageEntry[]>>();
let iterationCount = 0;
// From here on handing a value's own memory over costs less than copying it.
const largeBytes = 2 ** 14;

port.on("message", ({ id, body }: PageRequest) => {
  serve(body).then(
    (answer) => port.postMessage({ id, answer } satisfies PageReply, memoryOf(answer)),
    (error: unknown) => port.postMessage({ id, ...describe(error) } satisfies PageReply),
  );
});

async function serve(body: PageCall): Promise<PageAnswer> {
  switch (body.call) {
    case "open":
    case "reopen":
      iterations.clear();
      await store.reopen();
      return {};
    case "close":
      await store.close();
      return {};
    case "get":
      return { value: await store.get(body.key) };
    case "write":
      await store.write([...unpackEntries(body.memory, body.usedBytes)]);
      return { memory: body.memory };
    case "compact":
      await store.compact(body);
      return {};
    case "iterate":
      iterations.set(++iterationCount, store.entries(body)[Symbol.asyncIterator]());
      return { iteration: iterationCount };
    case "next":
      return next(body.iteration);
    case "end":
      await iterations.get(body.iteration)?.return?.();
      iterations.delete(body.iteration);
      return {};
  }
}

async function next(iteration: number): Promise<PageAnswer> {
  const iterator = iterations.get(iteration);
  if (!iterator) throw new EmbershardError("CLOSED", "the page store was closed while it was iterated");
  const { done, value } = await iterator.next();
  if (done) {
    iterations.delete(iteration);
    return {};
  }
  const entries = value as readonly PageEntry[];
  const whole = ({ value }: PageEntry) =>
    value.length >= largeBytes && value.length === value.buffer.byteLength;
  if (entries.every(whole)) return { entries };
  const bytes = entries.reduce((sum, entry) => sum + entry.key.length + entry.value.length + 24, 0);
  const buffer = new EntryBuffer(new ArrayBuffer(bytes));
  for (const entry of entries) buffer.add(entry.key, entry.value);
  return { usedBytes: buffer.usedBytes, memory: buffer.take() };
}

function describe(error: unknown) {
  if (error instanceof EmbershardError)
    return { code: error.code, message: error.message, cause: error.cause };
  return { code: "INTERNAL", message: `the page thread failed: ${String(error)}`, cause: undefined } as const;
}

function memoryOf({ memory, entries }: PageAnswer): ArrayBuffer[] {
  if (memory) return [memory];
  return entries?.map(({ value }) => value.buffer as ArrayBuffer) ?? [];
}
