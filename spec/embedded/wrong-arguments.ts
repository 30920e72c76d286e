// A store to give wrong arguments to, and the demand that each is refused and changes nothing.
import * as assert from "uvu/assert";
import {
  adagrad,
  adam,
  EmbershardError,
  type ErrorCode,
  type Store,
  type Table,
  type Tensor,
  uniform,
} from "../../lib/index.js";
import { scanAll } from "../laws/oracle-of.js";
import { keysOfNumbers } from "../laws/twin.js";
import { MemoryDisk } from "./memory-store.js";

export const optimizer = adagrad({ learningRate: 0.1 });
export const keys = keysOfNumbers(1, 2);
export const rows = new Float32Array(6);

export interface World {
  readonly store: Store;
  readonly table: Table;
  readonly counting: Table;
  readonly unlogged: Table;
  readonly tensor: Tensor;
  readonly dropped: Table;
  readonly foreign: Table;
  readonly foreignTensor: Tensor;
}

export type Case = [name: string, call: (world: World) => unknown, code: ErrorCode, says: RegExp];

// What a caller without types may give.
export const wrong = (value: unknown) => value as never;

export function detached<T extends ArrayBufferView>(array: T): T {
  structuredClone(array.buffer, { transfer: [array.buffer as ArrayBuffer] });
  return array;
}

type Resizable = ArrayBuffer & { resize(length: number): void };
const ResizableBuffer = ArrayBuffer as unknown as new (
  length: number,
  options: { maxByteLength: number },
) => Resizable;

/** An array of `length` elements, outside its buffer once that has shrunk. */
export function shrunk<T>(
  Kind: new (buffer: ArrayBuffer, offset: number, length: number) => T,
  length: number,
  bytes: number,
): T {
  const buffer = new ResizableBuffer(length * bytes, { maxByteLength: length * bytes });
  const array = new Kind(buffer, 0, length);
  buffer.resize(bytes);
  return array;
}

/** Begins a scan. */
export function next(table: Table, options: unknown): Promise<unknown> {
  return table
    .scan(options as never)
    [Symbol.asyncIterator]()
    .next();
}

async function openWorld(): Promise<World> {
  const store = await new MemoryDisk(1).open({ arenaBytes: 512 << 20 });
  const other = await new MemoryDisk(2).open();
  const options = { dim: 3, optimizer, initializer: uniform(-1, 1) };
  const world: World = {
    store,
    table: await store.table("t", options),
    counting: await store.table("c", { ...options, optimizer: adam({ learningRate: 1, step: "table" }) }),
    unlogged: await store.table("u", { ...options, logged: false }),
    tensor: await store.tensor("w", { shape: [20], optimizer, block: 8 }),
    dropped: await store.table("d", options),
    foreign: await other.table("t", options),
    foreignTensor: await other.tensor("w", { shape: [20], optimizer, block: 8 }),
  };
  await store.push(
    [world.table, world.counting, world.unlogged].map((table) => ({
      table,
      keys: keysOfNumbers(1, 2, 3),
      gradients: new Float32Array(9).fill(1),
    })),
    { step: 1 },
  );
  await world.tensor.push(new Float32Array(20).fill(1));
  await store.dropTable("d");
  return world;
}

/** All that a store holds, but what a push of nothing leaves alone. */
async function contentOf({ store, table, counting, unlogged, tensor }: World): Promise<string> {
  const tables = await Promise.all([table, counting, unlogged].map(async (one) => [...(await scanAll(one))]));
  const content = [
    tables,
    await tensor.pull(),
    (await store.tables()).map(({ bytes: _, ...rest }) => rest),
    await store.mark(),
    [table, counting].map(({ options }) => options),
  ];
  return JSON.stringify(content, (_, value) => (typeof value === "bigint" ? String(value) : value));
}

/** Gives each case to a store that is as it was before. */
export async function refuseAll(cases: readonly Case[]): Promise<void> {
  const world = await openWorld();
  const before = await contentOf(world);
  for (const [name, call, code, says] of cases) {
    let found: unknown;
    try {
      await call(world);
    } catch (error) {
      found = error;
    }
    assert.ok(
      found instanceof EmbershardError,
      `${name}: ${found instanceof Error ? found.stack : "was not refused"}`,
    );
    assert.is(found.code, code, `${name}: ${found.message}`);
    assert.ok(says.test(found.message), `${name}: the message is "${found.message}", expected ${says}`);
    assert.is(await contentOf(world), before, `${name}: the store has changed`);
  }
  await world.table.push(keys, rows, { ack: "fsync" });
  await world.store.close();
}
