// Memory for rows that are announced grows once, before them.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sgd, type TableOptions, zeros } from "../../lib/index.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { expectRows } from "../../lib/shard/expecting.js";
import { FaultyMachine } from "./fault-fixture.js";

const options: TableOptions = { dim: 64, optimizer: sgd({ learningRate: 0.1 }), initializer: zeros() };
const [rows, batch] = [160_000, 20_000];

/** How often memory grew while rows were created. */
async function growthsOf(announced: number, more: Partial<TableOptions> = {}): Promise<number> {
  const { shard } = await new FaultyMachine(7).open({ arenaBytes: 128 << 20, kernel: instantiateKernel });
  const table = await shard.openTable("t", { ...options, ...more });
  const { arenas } = shard.state;
  expectRows(arenas, table, announced);
  let growths = 0;
  for (let first = 0; first < rows; first += batch) {
    const before = arenas.front.bytes.buffer;
    const keys = BigUint64Array.from({ length: batch }, (_, i) => BigInt(first + i));
    await shard.write([{ table, kind: "create", keys, learningRate: 0 }], { ack: "memory", step: 0 });
    if (arenas.front.bytes.buffer !== before) growths++;
  }
  await shard.close();
  return growths;
}

test("rows that were announced find their memory, others make it grow", async () => {
  assert.is(await growthsOf(rows), 0);
  assert.ok((await growthsOf(0)) > 0);
});

test("the index of a new table begins with the segments that its rows would split it into", async () => {
  const [announced, grown] = await Promise.all(
    [rows, 0].map(async (announcement) => {
      const { shard } = await new FaultyMachine(9).open();
      const table = await shard.openTable("t", { ...options, dim: 1 });
      const { front } = shard.state.arenas;
      expectRows(shard.state.arenas, table, announcement);
      const before = table.indexPages(front);
      const keys = BigUint64Array.from({ length: rows }, (_, i) => BigInt(i));
      await shard.write([{ table, kind: "create", keys, learningRate: 0 }], { ack: "memory", step: 0 });
      const found = new Uint8Array(rows);
      await shard.contains(table, keys, found);
      assert.ok(found.every((is) => is === 1));
      // Of a table with rows nothing changes.
      const after = table.indexPages(front);
      expectRows(shard.state.arenas, table, 100 * rows);
      assert.is(table.indexPages(front), after);
      await shard.close();
      return { before, after };
    }),
  );
  assert.is(grown.before, 2, "a directory and a segment");
  assert.equal([announced.before, announced.after], [grown.after, grown.after]);
});

test("an announcement beyond the limit prepares what there is", async () => {
  assert.is(await growthsOf(2 ** 40), 0);
});

test("a table with a limit of memory prepares nothing", async () => {
  const { shard } = await new FaultyMachine(8).open();
  const table = await shard.openTable("t", { ...options, memory: 2 ** 20 });
  const before = shard.state.arenas.front.bytes.length;
  expectRows(shard.state.arenas, table, rows);
  assert.is(shard.state.arenas.front.bytes.length, before);
  await shard.close();
});

test.run();
