// Rows as binary16, bfloat16 and int8, and back: the kernel against the oracle and plain arithmetic.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { constant } from "../../lib/index.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { SCRATCH } from "../../lib/kernel/layout.js";
import { ELEMENT_BYTES, STORAGES } from "../../lib/kernel/storage.js";
import { narrowTypes, through, unstableRow, widened } from "../laws/narrow.js";
import { same } from "../laws/twin.js";
import { StoredRows } from "./stored-rows.js";

/** Numbers at which a conversion changes its ways, and beside them. */
const corners = [
  ...[0, -0, 1, -1, 65504, 65519.996, 65520, -1e5, 3.4028234663852886e38, Number.NaN],
  ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** -14, 2 ** -14 * 0.9998, 2 ** -24, 2 ** -25],
  ...[2 ** -25 * 1.001, -1e-8, 1e-40, 1.0009765625, 1.00048828125, 1.0014648438, 2049, 2051],
];

function someFloats(random: Prng, n: number): Float32Array {
  return Float32Array.from({ length: n }, () =>
    random.below(4) === 0
      ? corners[random.below(corners.length)]
      : (2 * random.unit() - 1) * 2 ** (random.below(50) - 30),
  );
}

test("rows come as the nearest numbers, whatever they are stored as, there or not", () => {
  const random = new Prng(1);
  for (const storage of ["f32", ...narrowTypes] as const)
    for (const stateStorage of ["f32", "bf16"] as const)
      for (const dim of [1, 2, 3, 5, 8, 63, 64, 4096]) {
        const rows = new StoredRows(dim, {
          storage,
          stateStorage,
          initializer: { kind: "normal", mean: 0, std: 300 },
        });
        const there = BigUint64Array.from({ length: dim > 1000 ? 3 : 60 }, (_, i) => BigInt(i));
        rows.assign(there, someFloats(random, there.length * dim));
        const asked = BigUint64Array.from({ length: 2 * there.length }, () =>
          BigInt(random.below(2 * there.length)),
        );
        for (const type of narrowTypes)
          for (const fallback of [undefined, 0.1, 1e6]) {
            const { numbers, scales, guards } = rows.readNarrow(type, asked, fallback);
            const said = `${storage}, ${stateStorage}, dim ${dim} as ${type}, default ${fallback}`;
            same(widened(type, numbers, scales, dim), through(type, rows.read(asked, fallback), dim), said);
            assert.equal(guards, [0xab, 0xab], `${said}: what lies behind rows and scales stays`);
          }
      }
});

test("what is stored so comes as it lies, and what would be if the row were there", () => {
  for (const type of narrowTypes)
    for (const dim of [1, 5, 64, 127]) {
      const initial = unstableRow(1)[0];
      const rows = new StoredRows(dim, { storage: type, initializer: constant(initial) });
      rows.assign(BigUint64Array.of(0n), unstableRow(dim));
      const keys = BigUint64Array.of(0n, 9n);
      const read = rows.read(keys);
      const { numbers, scales } = rows.readNarrow(type, keys);
      same(widened(type, numbers, scales, dim), read, `${type}, dim ${dim}`);
      const bytes = ELEMENT_BYTES[type] * dim;
      const stored = [0n, 9n].map((key) => new Uint8Array(rows.bytes(key).buffer, 0, bytes));
      for (const [i, row] of stored.entries())
        assert.equal(numbers.slice(i * bytes, (i + 1) * bytes), row, `${type}, row ${i}`);
      if (type === "int8")
        assert.ok(
          through(type, read, dim).some((x, i) => x !== read[i]),
          "it cannot be made from what is read",
        );
    }
});

test("every number of two bytes is widened to what it means, and comes back", () => {
  const { exports, memory } = instantiateKernel(64 << 20);
  memory.grow(32);
  const n = 65_536;
  for (const type of ["f16", "bf16"] as const) {
    const numbers = Uint16Array.from({ length: n }, (_, i) => i);
    new Uint16Array(memory.buffer, SCRATCH, n).set(numbers);
    const floats = new Float32Array(memory.buffer, SCRATCH + 2 * n, n);
    exports.widenRows(SCRATCH, 0, n / 64, 64, SCRATCH + 2 * n, STORAGES[type]);
    same(floats, widened(type, new Uint8Array(numbers.buffer), undefined, 64), `${type}: read`);
    exports.narrowRows(SCRATCH + 2 * n, n / 64, 64, SCRATCH, 0, STORAGES[type]);
    const written = new Uint8Array(memory.buffer, SCRATCH, 2 * n);
    same(widened(type, written, undefined, 64), floats, `${type}: written`);
  }
});

test("floats become rows of a type, of int8 with their own scales or with those that are given", () => {
  const { exports, memory } = instantiateKernel(64 << 20);
  const random = new Prng(2);
  for (const type of narrowTypes)
    for (const dim of [1, 3, 4, 9, 64]) {
      const n = 20;
      const floats = someFloats(random, n * dim);
      const given = Float32Array.from({ length: n }, (_, i) => (i % 3 === 0 ? 2 : -1));
      const [into, scales] = [SCRATCH + 8192, SCRATCH + 16_384];
      new Float32Array(memory.buffer, SCRATCH, n * dim).set(floats);
      new Float32Array(memory.buffer, scales, n).set(given);
      exports.narrowRows(SCRATCH, n, dim, into, scales, STORAGES[type]);
      const found = new Float32Array(memory.buffer, scales, n);
      const numbers = new Uint8Array(memory.buffer, into, n * dim * ELEMENT_BYTES[type]);
      const read = widened(type, numbers, found, dim);
      const expected = through(type, floats, dim);
      for (let i = 0; i < n; i++) {
        if (type === "int8" && i % 3 === 0) {
          assert.is(found[i], 2);
          continue;
        }
        const [from, to] = [i * dim, (i + 1) * dim];
        same(read.subarray(from, to), expected.subarray(from, to), `${type}, dim ${dim}, row ${i}`);
      }
    }
  new Float32Array(memory.buffer, SCRATCH, 4).set([1, -3, 300, -0.9]);
  new Float32Array(memory.buffer, SCRATCH + 64, 1).set([2]);
  exports.narrowRows(SCRATCH, 1, 4, SCRATCH + 128, SCRATCH + 64, STORAGES.int8);
  // To the nearest multiple of 2, ties to even; as far as 127 of them.
  assert.equal([...new Int8Array(memory.buffer, SCRATCH + 128, 4)], [0, -2, 127, 0]);
});

test("rows at the end of the room of their floats are widened in place", () => {
  const { exports, memory } = instantiateKernel(64 << 20);
  const random = new Prng(3);
  const scalesAt = SCRATCH + 65_536;
  for (const type of narrowTypes)
    for (const dim of [1, 2, 3, 7, 8, 13, 64])
      for (let n = 0; n < 12; n++)
        for (const at of [SCRATCH, SCRATCH + 4]) {
          const numbers = Uint8Array.from({ length: n * dim * ELEMENT_BYTES[type] }, () => random.below(256));
          const scales = Float32Array.from({ length: n }, () => random.unit());
          const from = at + 4 * n * dim - numbers.length;
          new Uint8Array(memory.buffer, from, numbers.length).set(numbers);
          new Float32Array(memory.buffer, scalesAt, n).set(scales);
          exports.widenRows(from, scalesAt, n, dim, at, STORAGES[type]);
          const read = new Float32Array(memory.buffer, at, n * dim);
          same(read, widened(type, numbers, scales, dim), `${type}: ${n} rows of ${dim}`);
        }
});

test.run();
