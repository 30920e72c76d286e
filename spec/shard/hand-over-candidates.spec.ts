// Candidates move with the rows of their slots, whether they are counted one by one or in a sketch.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { MemoryDisk } from "../embedded/memory-store.js";
import { grow, options } from "./growing.js";

const seed = Number(process.env.EMBERSHARD_SEED ?? 5);
const counter = { sketchBytes: 2 << 20 };

for (const logged of [true, false]) {
  const what = logged ? "logged" : "unlogged";
  test(`a ${what} table that admits by exact counters grows into a second arena`, () =>
    grow({ seed, logged, arenas: 2, admission: { after: 2 } }));
  test(`a ${what} table that admits by a sketch grows into a second arena`, () =>
    grow({ seed, logged, arenas: 2, admission: { after: 2, counter } }));
}

test("while rows move, a key's row says how often it was pushed, whatever the sketch says in the other arena", async () => {
  const disk = new MemoryDisk(3);
  const store = await disk.open();
  const table = await store.table("t", { ...options, ack: "memory", admission: { after: 2, counter } });
  const keys = BigUint64Array.from({ length: 200 }, (_, i) => BigInt(i));
  const values = new Float32Array(200 * options.dim);
  await table.push(keys, values);
  assert.equal(await table.occurrences(keys), new Uint32Array(200).fill(1));
  // Rows that were never pushed; the sketch still knows of the one occurrence.
  await table.assign(keys, values);
  for (let next = 1000; (await store.stats()).memory.arenas === 1; next += 50) {
    const more = BigUint64Array.from({ length: 50 }, (_, i) => BigInt(next + i));
    await table.pull(more, { create: true });
  }
  const { arenas } = disk.shard!.state;
  let looks = 0;
  for (; arenas.moving?.done === false; looks++) {
    assert.equal(await table.occurrences(keys), new Uint32Array(200));
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.ok(looks > 5);
  await store.close();
});

test.run();
