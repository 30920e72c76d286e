// The index of a table through an arena: growth, splits, deletes and re-insertion, against a Map.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sgd } from "../../lib/api/optimizers.js";
import { defineTable } from "../../lib/api/table-definition.js";
import { Prng } from "../../lib/base/prng.js";
import { KIND_ROWS } from "../../lib/kernel/layout.js";
import { Arena } from "../../lib/table/arena.js";
import { ArenaTable } from "../../lib/table/arena-table.js";

const chunk = 4096;

/** A table of one float a row, which the specs set to what they expect. */
class Rows {
  readonly arena = new Arena(0, { limitBytes: 512 << 20, hugePages: "off" });
  readonly table: ArenaTable;
  #lsn = 1n;

  constructor(dim = 1) {
    this.table = new ArenaTable(3, defineTable("t", 1, { dim, optimizer: sgd({ learningRate: 1 }) }));
    this.table.describe(this.arena);
    assert.ok(this.arena.kernel.commitPages(4));
    this.arena.kernel.openTable(3, 0);
  }

  put(keys: BigUint64Array, values: Float32Array): void {
    const { arena } = this;
    for (let from = 0; from < keys.length; from += chunk) {
      const n = Math.min(chunk, keys.length - from);
      const at = this.#stage(keys.subarray(from, from + n));
      const [counts, positions, rows] = [
        arena.takeScratch(4 * n),
        arena.takeScratch(4 * n),
        arena.takeScratch(4 * n),
      ];
      arena.u32.fill(0, counts / 4, counts / 4 + n);
      arena.f32.set(values.subarray(from, from + n), rows / 4);
      assert.ok(arena.kernel.commitPages(arena.kernel.pagesFor(3, n)));
      arena.kernel.assignRows(3, at, counts, n, positions, rows, 0, this.#lsn++);
      arena.refresh();
    }
  }

  delete(keys: BigUint64Array): number {
    let deleted = 0;
    for (let from = 0; from < keys.length; from += chunk) {
      const part = keys.subarray(from, from + chunk);
      const at = this.#stage(part);
      deleted += this.arena.kernel.deleteRows(
        3,
        at,
        part.length,
        this.arena.takeScratch(4 * part.length),
        at,
        this.#lsn++,
      );
    }
    return deleted;
  }

  /** Values of keys, -1 where there is no row. */
  get(keys: BigUint64Array): Float32Array {
    const values = new Float32Array(keys.length);
    for (let from = 0; from < keys.length; from += chunk) {
      const part = keys.subarray(from, from + chunk);
      const at = this.#stage(part);
      const into = this.arena.takeScratch(4 * part.length);
      this.arena.kernel.pullRows(3, at, part.length, into, 0, 0, 1, -1);
      values.set(this.arena.f32.subarray(into / 4, into / 4 + part.length), from);
    }
    return values;
  }

  get rows(): number {
    return this.table.rows(this.arena);
  }

  pages(): number {
    let pages = 0;
    for (let page = this.arena.firstPage; page < this.arena.pagesEnd; page++) {
      if (this.arena.pageKind(page) === KIND_ROWS) pages++;
    }
    return pages;
  }

  #stage(keys: BigUint64Array): number {
    this.arena.beginScratch(24 * chunk + 4 * 64);
    const at = this.arena.takeScratch(8 * chunk);
    this.arena.u64.set(keys, at / 8);
    return at;
  }
}

function compare(rows: Rows, expected: ReadonlyMap<bigint, number>, absent: BigUint64Array): void {
  assert.is(rows.rows, expected.size);
  const keys = BigUint64Array.from(expected.keys());
  const found = rows.get(keys);
  keys.forEach((key, i) => {
    if (found[i] !== expected.get(key)) assert.is(found[i], expected.get(key), `key ${key}`);
  });
  rows.get(absent).forEach((value, i) => {
    const there = expected.get(absent[i]) ?? -1;
    if (value !== there) assert.is(value, there, `key ${absent[i]}`);
  });
}

const ways: [string, (random: Prng) => bigint][] = [
  ["random keys", (random) => (BigInt(random.u32()) << 32n) | BigInt(random.u32())],
  ["small keys", (random) => BigInt(random.below(700_000))],
  ["keys that differ in their top bits", (random) => BigInt(random.below(700_000)) << 44n],
];

for (const [name, keyOf] of ways) {
  test(`${name}: 350,000 rows with deletes and new insertions`, () => {
    const random = new Prng(1);
    const rows = new Rows();
    const expected = new Map<bigint, number>();
    const all = BigUint64Array.from({ length: 500_000 }, () => keyOf(random));
    all.set([0n, 2n ** 64n - 1n], 1000);
    let at = 0;
    while (expected.size < 350_000 && at < all.length) {
      const keys = all.subarray(at, at + 20_000);
      at += 20_000;
      const values = Float32Array.from(keys, () => random.below(1 << 20));
      rows.put(keys, values);
      keys.forEach((key, i) => void expected.set(key, values[i]));
      const gone = BigUint64Array.from({ length: 3000 }, () => all[random.below(at)]);
      let deleted = 0;
      for (const key of gone) if (expected.delete(key)) deleted++;
      assert.is(rows.delete(gone), deleted);
    }
    assert.ok(expected.size > 300_000);
    compare(rows, expected, all.subarray(0, 20_000));
    const most = BigUint64Array.from(expected.keys()).subarray(0, 280_000);
    assert.is(rows.delete(most), most.length);
    for (const key of most) expected.delete(key);
    compare(rows, expected, most.subarray(0, 50_000));
    const values = new Float32Array(most.length).fill(5);
    rows.put(most, values);
    for (const key of most) expected.set(key, 5);
    compare(rows, expected, all.subarray(0, 1000));
  });
}

test("places of deleted rows are used again", () => {
  const rows = new Rows(64);
  const keys = BigUint64Array.from({ length: 20_000 }, (_, i) => BigInt(i));
  const values = new Float32Array(20_000);
  const create = (from: number) =>
    rows.put(
      keys.map((key) => key + BigInt(from)),
      values,
    );
  create(0);
  const pages = rows.pages();
  for (let round = 1; round <= 5; round++) {
    assert.is(rows.delete(keys.map((key) => key + BigInt((round - 1) * 20_000))), 20_000);
    assert.is(rows.rows, 0);
    create(round * 20_000);
    assert.is(rows.pages(), pages, `round ${round}`);
  }
});

test.run();
