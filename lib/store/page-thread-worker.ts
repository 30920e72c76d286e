// The thread that owns the engine: answers the calls of `openThreadPageStore` one after the other. It opens one store
// after the other, each when the one before is closed.
import { type MessagePort, parentPort } from "node:worker_threads";
import { EmbershardError } from "../base/errors.js";
import { EntryBuffer, unpackEntries } from "./entry-buffer.js";
import { LevelPageStore } from "./level-page-store.js";
import type { KeyRange, PageEntry, PlacedValues } from "./page-store.js";
import type { PageAnswer, PageCall, PageReply, PageRequest } from "./page-thread-messages.js";

const port = parentPort as MessagePort;
/** Given by `open`, which is what a thread is asked for first. */
let store: LevelPageStore;
/** An iteration, and its next batch, which is read while the caller works on the one before. */
interface Iteration {
  readonly iterator: AsyncIterator<readonly PageEntry[]>;
  coming: Promise<IteratorResult<readonly PageEntry[]>>;
}

const iterations = new Map<number, Iteration>();
let iterationCount = 0;
/** Files of values that the caller reads by itself, by the number of their descriptors, which all threads share. */
const placements = new Map<number, PlacedValues>();
let placementCount = 0;
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
      store = new LevelPageStore(body.directory, body.options);
      await store.reopen();
      return {};
    case "reopen":
      await endIterations();
      await leaveAll();
      await store.reopen();
      return {};
    case "close":
      await endIterations();
      await leaveAll();
      await store.close();
      return {};
    case "get":
      return { value: await store.get(body.key) };
    case "getMany": {
      const { bytes, ends } = await store.getMany(new Uint8Array(body.memory), body.keyBytes);
      return { memory: bytes.buffer as ArrayBuffer, ends };
    }
    case "write":
      await store.write([...unpackEntries(body.memory, body.usedBytes)]);
      return { memory: body.memory };
    case "compact":
      await store.compact(body);
      return {};
    case "place":
      return place(body.ranges);
    case "leave":
      await leave(body.placement);
      return {};
    case "iterate":
      return { iteration: iterate(body) };
    case "next":
      return next(body.iteration);
    case "end":
      await endIteration(body.iteration);
      return {};
  }
}

async function place(ranges: readonly KeyRange[]): Promise<PageAnswer> {
  const placed = await store.place(ranges);
  if (!placed) return {};
  placements.set(++placementCount, placed);
  const buffer = new EntryBuffer(new ArrayBuffer(72 * placed.places.length + 64));
  for (const { key, fd, offset, length, unseen = Number.NaN } of placed.places)
    buffer.add(key, new Uint8Array(Float64Array.of(fd, offset, length, unseen).buffer));
  return { placement: placementCount, usedBytes: buffer.usedBytes, memory: buffer.take() };
}

async function leave(number: number): Promise<void> {
  const placed = placements.get(number);
  placements.delete(number);
  await placed?.close();
}

async function leaveAll(): Promise<void> {
  await Promise.all([...placements.keys()].map(leave));
}

function iterate(range: KeyRange): number {
  const iterator = store.entries(range)[Symbol.asyncIterator]();
  iterations.set(++iterationCount, { iterator, coming: ahead(iterator) });
  return iterationCount;
}

function ahead(iterator: AsyncIterator<readonly PageEntry[]>): Promise<IteratorResult<readonly PageEntry[]>> {
  const coming = iterator.next();
  // Whoever asks for it is told; until then a failure must not count as unhandled.
  coming.catch(() => undefined);
  return coming;
}

async function endIteration(number: number): Promise<void> {
  const iteration = iterations.get(number);
  iterations.delete(number);
  if (!iteration) return;
  await Promise.allSettled([iteration.coming]);
  await iteration.iterator.return?.();
}

async function endIterations(): Promise<void> {
  await Promise.all([...iterations.keys()].map(endIteration));
}

async function next(number: number): Promise<PageAnswer> {
  const iteration = iterations.get(number);
  if (!iteration) throw new EmbershardError("CLOSED", "the page store was closed while it was iterated");
  const { done, value } = await iteration.coming;
  if (done) {
    iterations.delete(number);
    return {};
  }
  iteration.coming = ahead(iteration.iterator);
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
