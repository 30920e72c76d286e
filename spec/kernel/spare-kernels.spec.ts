// Kernels are used again by whoever comes next: nothing of what they held is left, and who had them reaches nothing.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemCalls } from "../../lib/base/system-calls.js";
import { sgd } from "../../lib/index.js";
import { KIND_ROWS, PAGE_LSNS } from "../../lib/kernel/layout.js";
import { Arena } from "../../lib/table/arena.js";
import { openTemporary } from "../embedded/opened.js";

const mebibyte = 1 << 20;
const options = { limitBytes: 48 * mebibyte, hugePages: "off" } as const;

/** An arena that has handed out pages and given one back, all of them written to. */
function usedArena(): Arena {
  const arena = new Arena(0, options);
  arena.beginScratch(20 * mebibyte);
  const first = arena.kernel.takeRun(8, KIND_ROWS);
  arena.kernel.givePage(first);
  arena.refresh();
  arena.bytes.fill(255, PAGE_LSNS);
  return arena;
}

test("a kernel comes back with zeroed memory of which nothing is handed out", () => {
  if (!systemCalls()) return;
  const fresh = new Arena(0, options);
  const used = usedArena();
  const { kernel } = used;
  used.release(true);
  const next = new Arena(0, options);
  assert.is(next.kernel, kernel);
  assert.is(
    next.bytes.subarray(PAGE_LSNS).findIndex((byte) => byte !== 0),
    -1,
  );
  for (const pages of ["pagesEnd", "pagesUsed", "pagesLeft"] as const)
    assert.is(next.kernel[pages](), fresh.kernel[pages](), pages);
  // What grew once need not grow again, and the limit holds as it did.
  assert.ok(next.commit(next.kernel.pagesLeft()));
  assert.not.ok(next.commit(next.kernel.pagesLeft() + 1));
});

test("one that is not sound goes with its memory", () => {
  const used = usedArena();
  const { kernel, bytes } = used;
  used.release(false);
  if (systemCalls()) assert.is(bytes.length, 0);
  assert.is.not(new Arena(0, options).kernel, kernel);
});

test("one of another limit, or for other pages, is another", () => {
  const used = usedArena();
  const { kernel } = used;
  used.release(true);
  for (const other of [
    { ...options, limitBytes: 32 * mebibyte },
    { ...options, hugePages: "auto" },
  ] as const)
    assert.is.not(new Arena(0, other).kernel, kernel);
});

test("who gave a kernel away reaches nobody's rows", () => {
  if (!systemCalls()) return;
  const used = usedArena();
  const { bytes, kernel } = used;
  used.release(true);
  assert.is(bytes.length, 0);
  assert.is.not(used.kernel, kernel);
  assert.is(used.kernel.pagesLeft(), 0);
  assert.not.ok(used.commit(1));
  used.release(true);
  const next = new Arena(0, options);
  used.bytes.fill(7, PAGE_LSNS);
  assert.is(next.bytes.indexOf(7, PAGE_LSNS), -1);
  used.bytes.fill(0, PAGE_LSNS);
});

test("stores that follow each other in a process are each as if alone", async () => {
  const rowsOf = async (seed: number) => {
    const { store, end } = await openTemporary({ arenaBytes: 64 * mebibyte, checkpoint: false });
    const table = await store.table("t", {
      dim: 8,
      optimizer: sgd({ learningRate: 0.5 }),
      seed: BigInt(seed),
    });
    const keys = BigUint64Array.from({ length: 50_000 }, (_, i) => BigInt(i * seed));
    assert.is((await table.contains(keys)).indexOf(1), -1);
    await table.push(keys, new Float32Array(keys.length * 8).fill(seed));
    const rows = await table.pull(keys);
    await end();
    return rows;
  };
  const first = await rowsOf(3);
  await rowsOf(5);
  assert.equal(await rowsOf(3), first);
});

test.run();
