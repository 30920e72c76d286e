// A store that was checkpointed and closed is indexed while its images are read. Enough rows for several pieces.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sgd, type Table } from "../../lib/index.js";
import { openTemporary } from "./opened.js";

/** More than go into the index at once, twice. */
const rows = 1_150_000;
const batch = 50_000;

async function fill(table: Table, from: number, count: number): Promise<void> {
  const keys = BigUint64Array.from({ length: count }, (_, i) => BigInt(from + i));
  await table.assign(
    keys,
    Float32Array.from({ length: count }, (_, i) => from + i),
  );
}

/** The table holds the numbers below `count`, each its own value, but for those that `gone` says. */
async function demandNumbers(table: Table, count: number, gone: (number: number) => boolean): Promise<void> {
  let wrong = 0;
  for (let from = 0; from < count; from += batch) {
    const keys = BigUint64Array.from({ length: Math.min(batch, count - from) }, (_, i) => BigInt(from + i));
    const values = await table.pull(keys);
    const found = await table.contains(keys);
    for (let i = 0; i < keys.length; i++) {
      const there = found[i] === 1;
      if (there === gone(from + i) || (there && values[i] !== from + i)) wrong++;
    }
  }
  assert.is(wrong, 0);
}

const never = () => false;

for (const tables of [1, 2]) {
  // The smaller arena has no room for an index twice as large: pages wait until all have been read.
  for (const arenaBytes of [1 << 30, 76 << 20]) {
    test(`${tables} table${tables > 1 ? "s" : ""} in an arena of up to ${arenaBytes >> 20} MiB`, async () => {
      const opened = await openTemporary({ arenaBytes, checkpoint: false });
      const { store } = opened;
      const each = Math.floor(rows / tables);
      const names = ["first", "second"].slice(0, tables);
      const made: Table[] = [];
      for (const name of names)
        made.push(await store.table(name, { dim: 1, optimizer: sgd({ learningRate: 1 }), logged: false }));
      for (let from = 0; from < each; from += batch)
        for (const table of made) await fill(table, from, Math.min(batch, each - from));
      const gone = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(3 * i));
      await made[0].delete(gone);
      await store.checkpoint();

      const isGone = (number: number) => number < 3000 && number % 3 === 0;
      const reopened = await opened.reopen();
      for (const [i, name] of names.entries())
        await demandNumbers(await reopened.table(name), each, i === 0 ? isGone : never);
      const first = await reopened.table(names[0]);
      assert.is((await first.stats()).rows, each - 1000);
      // Places that were free are known, and taken first.
      const { bytes } = (await reopened.stats()).memory;
      await first.assign(gone, Float32Array.from(gone, Number));
      assert.is((await reopened.stats()).memory.bytes, bytes);
      await demandNumbers(first, each, never);
      await opened.end();
    });
  }
}

test.run();
