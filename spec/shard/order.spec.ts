// What waits keeps its turn, and finds the world as it is when its turn comes.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError, type ErrorCode, sgd } from "../../lib/index.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { scanAll } from "../laws/oracle-of.js";

const optimizer = sgd({ learningRate: 1 });

async function codeOf(work: Promise<unknown>): Promise<ErrorCode | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}

/** A store whose log waits for `release`, so that pushes wait for room in its buffer. */
async function jammedStore() {
  const disk = new MemoryDisk(1);
  const store = await disk.open({ logBufferBytes: 1 << 16 });
  const table = await store.table("items", { dim: 64, optimizer });
  let release = () => {};
  disk.files.schedule = () =>
    new Promise((resolve) => {
      release = () => {
        disk.files.schedule = undefined;
        resolve();
      };
    });
  const filling = table.push(
    BigUint64Array.from({ length: 150 }, (_, i) => BigInt(i)),
    new Float32Array(150 * 64),
  );
  await new Promise((resolve) => setImmediate(resolve));
  return { disk, store, table, filling, release: () => release() };
}

const waitingKeys = () => BigUint64Array.from({ length: 100 }, (_, i) => BigInt(1000 + i));

test("tables that are made at the same time are different tables, and one name is one table", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open();
  const [a, b, again] = await Promise.all([
    store.table("a", { dim: 2, optimizer }),
    store.table("b", { dim: 3, optimizer }),
    store.table("a", { dim: 2, optimizer }),
  ]);
  const key = BigUint64Array.of(1n);
  await a.push(key, Float32Array.of(1, 2));
  await b.push(key, Float32Array.of(3, 4, 5));
  assert.equal(await again.pull(key), Float32Array.of(-1, -2));
  await store.close();
  const reopened = await disk.open();
  assert.equal(await (await reopened.table("a")).pull(key), Float32Array.of(-1, -2));
  assert.equal(await (await reopened.table("b")).pull(key), Float32Array.of(-3, -4, -5));
  await reopened.close();
});

test("a table that is dropped and made anew in one breath is the new one", async () => {
  const store = await new MemoryDisk(1).open();
  await store.table("a", { dim: 2, optimizer });
  const dropping = store.dropTable("a");
  const made = await store.table("a", { dim: 5, optimizer });
  await dropping;
  assert.is(made.dim, 5);
  assert.is(await codeOf(store.dropTable("b")), "TABLE_NOT_FOUND");
  await store.close();
});

test("a push that waited finds its table dropped", async () => {
  const { store, table, filling, release } = await jammedStore();
  const waiting = codeOf(table.push(waitingKeys(), new Float32Array(6400)));
  const behind = codeOf(store.dropTable("items"));
  const last = codeOf(table.push(waitingKeys(), new Float32Array(6400)));
  release();
  await filling;
  assert.is(await waiting, undefined);
  assert.is(await behind, undefined);
  assert.is(await last, "TABLE_NOT_FOUND");
  await store.close();
});

for (const what of ["detached", "shrunk"] as const) {
  for (const which of ["keys", "gradients", "mark"] as const) {
    test(`a push whose ${which} are ${what} while it waits changes nothing`, async () => {
      const { store, table, filling, release } = await jammedStore();
      const bytes = 8192;
      const buffers = { keys: resizable(800), gradients: resizable(25_600), mark: resizable(bytes) };
      const keys = new BigUint64Array(buffers.keys);
      keys.set(waitingKeys());
      const gradients = new Float32Array(buffers.gradients);
      const mark = new Uint8Array(buffers.mark, 0, 16);
      const waiting = codeOf(table.push(keys, gradients, { mark }));
      if (what === "detached") structuredClone(buffers[which], { transfer: [buffers[which]] });
      else buffers[which].resize(8);
      release();
      await filling;
      assert.is(await waiting, "INVALID_ARGUMENT");
      assert.is((await scanAll(table)).size, 150);
      await table.push(waitingKeys(), new Float32Array(6400));
      assert.is((await scanAll(table)).size, 250);
      await store.close();
    });
  }
}

type Resizable = ArrayBuffer & { resize(length: number): void };

function resizable(bytes: number): Resizable {
  const Buffer = ArrayBuffer as unknown as new (
    length: number,
    options: { maxByteLength: number },
  ) => Resizable;
  return new Buffer(bytes, { maxByteLength: bytes });
}

test("pushes that wait are done in the order of their calls, whatever their sizes", async () => {
  const disk = new MemoryDisk(1);
  const store = await disk.open({ logBufferBytes: 1 << 16 });
  const table = await store.table("items", { dim: 16, optimizer });
  const done: number[] = [];
  const key = BigUint64Array.of(0n);
  await Promise.all(
    Array.from({ length: 80 }, async (_, i) => {
      const n = 1 + ((i * 397) % 900);
      const keys = BigUint64Array.from({ length: n }, (_, j) => BigInt(j));
      await table.assign(keys, new Float32Array(n * 16).fill(i));
      done.push(i);
    }),
  );
  assert.equal(
    done,
    [...done].sort((a, b) => a - b),
  );
  assert.is((await table.pull(key))[0], 79);
  await store.close();
});

test.run();
