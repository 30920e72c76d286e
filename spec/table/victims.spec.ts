import { test } from "uvu";
import * as assert from "uvu/assert";
import { defineTable } from "../../lib/api/table-definition.js";
import { Prng } from "../../lib/base/prng.js";
import { constant, sgd } from "../../lib/index.js";
import { Arena } from "../../lib/table/arena.js";
import { ArenaTable } from "../../lib/table/arena-table.js";
import {
  BY,
  findVictims,
  neverScore,
  sampleScores,
  scoreOfFloat,
  searchBytes,
} from "../../lib/table/victims.js";

/** A table of `rows` rows: key k has been pushed frequencies[k] times, last at steps[k], and has the norm norms[k]. */
function tableOf(rows: number) {
  const random = new Prng(rows);
  const arena = new Arena(0, { limitBytes: 64 << 20, hugePages: "off" });
  const options = { dim: 4, optimizer: sgd({ learningRate: 1 }), initializer: constant(0) };
  const [table, other] = [0, 1].map((i) => new ArenaTable(i, defineTable(`t${i}`, i + 1, options)));
  for (const one of [table, other]) {
    assert.ok(arena.commit(4));
    one.describe(arena);
    arena.kernel.openTable(one.index, 0);
  }
  const frequencies = Array.from({ length: rows }, () => random.below(50));
  const steps = Array.from({ length: rows }, () => random.below(1000));
  const norms = Array.from({ length: rows }, () => Math.fround(random.unit()));
  for (let from = 0; from < rows; from += 1000) {
    const n = Math.min(1000, rows - from);
    for (const one of [table, other]) {
      assert.ok(arena.commit(arena.kernel.pagesFor(one.index, n)));
      arena.beginScratch(n * 40 + 6 * 64);
      const [keys, counts, positions] = [
        arena.takeScratch(8 * n),
        arena.takeScratch(4 * n),
        arena.takeScratch(4 * n),
      ];
      const weights = arena.takeScratch(16 * n);
      for (let i = 0; i < n; i++) {
        arena.u64[keys / 8 + i] = BigInt(from + i);
        arena.u32[counts / 4 + i] = 0;
        arena.f32.set([0, norms[from + i], 0, 0], weights / 4 + 4 * i);
      }
      arena.kernel.assignRows(one.index, keys, counts, n, positions, weights, 0, 1n);
      for (let i = 0; i < n; i++) {
        const record = arena.u32[positions / 4 + i] * 2;
        arena.u32[record + 2] = (0x8000_0000 | frequencies[from + i]) >>> 0;
        arena.u32[record + 3] = steps[from + i];
      }
    }
  }
  return { arena, table, frequencies, steps, norms };
}

/** All victims of a table, found slice by slice. */
function victimsOf(
  arena: Arena,
  table: ArenaTable,
  by: number,
  threshold: number,
  places: number,
  limit: number,
) {
  const cursor = { page: 0, place: 0 };
  const found: number[] = [];
  for (;;) {
    arena.beginScratch(searchBytes(limit));
    const slice = findVictims(arena, table, cursor, { by, threshold, places, limit });
    assert.ok(slice.n <= limit);
    assert.ok(slice.looked < places + table.rowsPerPage);
    for (let i = 0; i < slice.n; i++) {
      found.push(Number(arena.u64[slice.keys / 8 + i]));
      assert.is(arena.u64[arena.u32[slice.positions / 4 + i]], arena.u64[slice.keys / 8 + i], "where it is");
    }
    if (slice.ended) return found;
  }
}

const rows = 9000;

test("victims are the rows up to a score, each once, however small the slices", () => {
  const { arena, table, frequencies, steps, norms } = tableOf(rows);
  const all = [...frequencies.keys()];
  for (const [places, limit] of [
    [1 << 20, 1 << 14],
    [1000, 7],
    [1, 1000],
  ]) {
    const found = (by: number, threshold: number) =>
      victimsOf(arena, table, by, threshold, places, limit).sort((a, b) => a - b);
    assert.equal(
      found(BY.frequency, 3),
      all.filter((key) => frequencies[key] <= 3),
    );
    assert.equal(
      found(BY.step, 100),
      all.filter((key) => frequencies[key] > 0 && steps[key] <= 100),
    );
    assert.equal(
      found(BY.norm, scoreOfFloat(0.25) - 1),
      all.filter((key) => norms[key] < 0.25),
    );
    assert.equal(found(BY.frequency, neverScore), all);
  }
});

test("a sample has every row of a small table, and tells a large one's quantiles", () => {
  const small = tableOf(3000);
  const { scores, complete } = sampleScores(small.arena, small.table, BY.frequency);
  assert.ok(complete);
  assert.equal(
    [...scores].sort((a, b) => a - b),
    [...small.frequencies].sort((a, b) => a - b),
  );
  const large = tableOf(90_000);
  const sample = sampleScores(large.arena, large.table, BY.norm, 1024);
  assert.not.ok(sample.complete);
  assert.ok(sample.scores.length > 500 && sample.scores.length < 2048, String(sample.scores.length));
  for (const part of [0.05, 0.5, 0.9]) {
    const threshold = sample.scores.sort()[Math.floor(part * sample.scores.length)];
    const below = large.norms.filter((norm) => scoreOfFloat(norm) <= threshold).length / large.norms.length;
    assert.ok(Math.abs(below - part) < 0.06, `${part}: ${below}`);
  }
});

test("scores of floats order as they do", () => {
  const floats = [
    Number.NEGATIVE_INFINITY,
    -3e38,
    -1,
    -1e-45,
    0,
    1e-45,
    0.5,
    1,
    3e38,
    Number.POSITIVE_INFINITY,
  ];
  const scores = floats.map(scoreOfFloat);
  assert.equal(
    [...scores].sort((a, b) => a - b),
    scores,
  );
  assert.is(new Set(scores).size, scores.length);
});

test.run();
