// Storing rows as less than float32: how far from exact, and that chance is fair.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { PAGE_LSNS } from "../../lib/kernel/layout.js";
import { bitsOf } from "../../lib/kernel/oracle/storage.js";
import { StoredRows } from "./stored-rows.js";

const storages = ["f16", "bf16", "int8"] as const;
/** Halves of the units in which each counts beside 1, and int8 beside a largest weight of 1. */
const halfUnit = { f16: 2 ** -11, bf16: 2 ** -8, int8: 0.5 / 127 };

function keysTo(n: number): BigUint64Array {
  return BigUint64Array.from({ length: n }, (_, i) => BigInt(i) * 0x9e37_79b9_7f4an);
}

test("the nearest number is stored: the error is half a unit at most", () => {
  const random = new Prng(1);
  for (const storage of storages) {
    const n = 2000;
    const rows = new StoredRows(8, { storage });
    const values = Float32Array.from({ length: 8 * n }, (_, i) => (i % 8 === 0 ? 1 : 2 * random.unit() - 1));
    rows.assign(keysTo(n), values);
    let worst = 0;
    for (const [i, read] of rows.read(keysTo(n)).entries()) {
      const relativeTo = storage === "int8" ? 1 : Math.abs(values[i]);
      worst = Math.max(worst, Math.abs(read - values[i]) / relativeTo);
    }
    assert.ok(worst <= halfUnit[storage] * 1.0001 && worst > 0.9 * halfUnit[storage], `${storage}: ${worst}`);
  }
});

test("rounding by chance is unbiased: the mean over keys and over steps is the value", () => {
  const n = 40_000;
  for (const storage of storages) {
    // One small weight beside a large one: it lies somewhere between two numbers that can be stored.
    for (const value of [0.30001, -0.7003, storage === "int8" ? 3e-3 : 3.02e-6]) {
      for (const over of ["keys", "steps"] as const) {
        const rows = new StoredRows(2, { storage, rounding: "stochastic" });
        let sum = 0;
        const found = new Set<number>();
        const one = new Float32Array(2 * n).map((_, i) => (i % 2 === 0 ? -1 : -value));
        if (over === "keys") rows.push(keysTo(n), one, 7, 1);
        const read = over === "keys" ? rows.read(keysTo(n)) : readOverSteps(n, one, storage);
        for (let i = 1; i < read.length; i += 2) {
          sum += read[i];
          found.add(read[i]);
        }
        assert.ok(found.size === 2, `${storage}, ${value}: ${[...found]}`);
        const [low, high] = [...found].sort((a, b) => a - b);
        assert.ok(low <= value && value <= high, `${low}, ${value}, ${high}`);
        const share = (value - low) / (high - low);
        // Five standard deviations of the mean.
        const bound = 5 * Math.sqrt((share * (1 - share)) / n) * (high - low);
        const mean = sum / n;
        assert.ok(Math.abs(mean - value) < bound, `${storage}, ${value}, over ${over}: ${mean} +- ${bound}`);
        const nearest = value - low < high - value ? low : high;
        assert.ok(Math.abs(nearest - value) > 2 * bound, "rounding to the nearest would be seen");
      }
    }
  }
});

/** The same push at n steps, each of which finds the row as it began. */
function readOverSteps(n: number, gradients: Float32Array, storage: (typeof storages)[number]): Float32Array {
  const rows = new StoredRows(2, { storage, rounding: "stochastic" });
  const key = BigUint64Array.of(77n);
  const read = new Float32Array(2 * n);
  for (let step = 0; step < n; step++) {
    rows.assign(key, new Float32Array(2));
    rows.push(key, gradients.subarray(0, 2), step, 1);
    read.set(rows.read(key), 2 * step);
  }
  return read;
}

test("what is read is stored again as it was, also what chance has rounded", () => {
  const random = new Prng(4);
  // For these keys chance would take the first weight, which is a little less than 127 scales by division, to 126 of them.
  const chosen = [180_685n, 196_917n, 246_539n];
  const others = Array.from({ length: 997 }, (_, i) => 1_000_000n + BigInt(i));
  const keys = BigUint64Array.from([...chosen, ...others]);
  for (const storage of storages)
    for (const dim of [1, 3, 4, 9]) {
      const [pushed, assigned] = [1, 2].map(
        () => new StoredRows(dim, { storage, rounding: "stochastic", seed: 1n }),
      );
      const gradients = Float32Array.from({ length: keys.length * dim }, (_, i) =>
        i < chosen.length * dim
          ? i % dim === 0
            ? -0.5000050067901611
            : (random.unit() - 0.5) / 2
          : (2 * random.unit() - 1) * 2 ** (random.below(60) - 30),
      );
      pushed.push(keys, gradients, 7, 1);
      const read = pushed.read(keys);
      assigned.assign(keys, read);
      assert.equal(assigned.read(keys), read, `${storage}, dim ${dim}`);
      for (const key of chosen)
        assert.equal(
          assigned.bytes(key).buffer,
          pushed.bytes(key).buffer,
          `${storage}, dim ${dim}: as bytes`,
        );
    }
});

test("many small steps add up by chance, where the nearest number would stand still", () => {
  const n = 500;
  const pushes = 400;
  const step = 1e-4;
  for (const storage of storages) {
    const added = (rounding: "nearest" | "stochastic") => {
      const rows = new StoredRows(2, { storage, rounding });
      rows.assign(keysTo(n), new Float32Array(2 * n).fill(1));
      const gradients = new Float32Array(2 * n).map((_, i) => (i % 2 === 0 ? 0 : step));
      // The caller's step stays the same: the frequency takes its part.
      for (let i = 0; i < pushes; i++) rows.push(keysTo(n), gradients, 0, 1);
      const read = rows.read(keysTo(n));
      return read.reduce((sum, x, i) => (i % 2 === 1 ? sum + 1 - x : sum), 0) / n;
    };
    if (storage !== "f16") assert.is(added("nearest"), 0);
    const unit = 2 * halfUnit[storage];
    // Of a walk of `pushes` steps, each to one of two numbers that are a unit apart.
    const bound = 5 * Math.sqrt((pushes * step * unit) / n);
    const found = added("stochastic");
    assert.ok(Math.abs(found - pushes * step) < bound, `${storage}: ${found} +- ${bound}`);
  }
});

test("the bits of elements are even and go their own ways", () => {
  const n = 4096;
  const ones = new Int32Array(32);
  let same = 0;
  for (let i = 0; i < n; i++) {
    const chance = BigInt.asUintN(64, BigInt(i) * 0x9e37_79b9_7f4a_7c15n);
    for (let bit = 0; bit < 32; bit++) ones[bit] += (bitsOf(chance, 3) >>> bit) & 1;
    same += ((bitsOf(chance, 3) ^ bitsOf(chance, 4)) >>> 31) ^ 1;
  }
  const bound = 5 * Math.sqrt(n / 4);
  for (const count of [...ones, same]) assert.ok(Math.abs(count - n / 2) < bound, String(count));
});

test("what is not a number stays none, and int8 takes its row along", () => {
  for (const storage of storages) {
    for (const rounding of ["nearest", "stochastic"] as const) {
      const rows = new StoredRows(5, { storage, rounding });
      const bad = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];
      for (const [i, x] of bad.entries()) {
        const key = BigUint64Array.of(BigInt(i));
        rows.push(key, Float32Array.of(0, 0, 0, 0, -x), 1, 1);
        const expected = storage === "int8" ? new Array(5).fill(Number.NaN) : [0, 0, 0, 0, x];
        assert.equal([...rows.read(key)], expected, `${storage}, ${rounding}, ${x}`);
      }
    }
  }
});

test("the module's static data ends before the pages' LSNs begin", () => {
  const { exports } = instantiateKernel(64 << 20);
  assert.ok(exports.staticEnd() <= PAGE_LSNS, `it ends at ${exports.staticEnd()}`);
});

test.run();
