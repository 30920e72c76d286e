// Rows as binary16, and back: the kernel against the oracle and plain arithmetic.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { SCRATCH } from "../../lib/kernel/layout.js";
import { floatsOfHalves, throughHalves } from "../laws/halves.js";
import { same } from "../laws/twin.js";
import { StoredRows } from "./stored-rows.js";

/** Numbers at which the conversion changes its ways, and beside them. */
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

test("rows come as the nearest binary16, whatever they are stored as, there or not", () => {
  const random = new Prng(1);
  for (const storage of ["f32", "f16", "bf16", "int8"] as const)
    for (const stateStorage of ["f32", "bf16"] as const)
      for (const dim of [1, 2, 3, 5, 8, 63, 64, 4096]) {
        const rows = new StoredRows(dim, {
          storage,
          stateStorage,
          initializer: { kind: "normal", mean: 0, std: 300 },
        });
        const there = BigUint64Array.from({ length: dim > 1000 ? 3 : 150 }, (_, i) => BigInt(i));
        rows.assign(there, someFloats(random, there.length * dim));
        const asked = BigUint64Array.from({ length: 2 * there.length }, () =>
          BigInt(random.below(2 * there.length)),
        );
        const said = `${storage}, ${stateStorage}, dim ${dim}`;
        for (const fallback of [undefined, 0.1, 1e6]) {
          const { halves, guard } = rows.readHalves(asked, fallback);
          same(
            floatsOfHalves(halves),
            throughHalves(rows.read(asked, fallback)),
            `${said}, default ${fallback}`,
          );
          assert.is(guard, 0xabcd, `${said}: what lies behind the rows stays`);
        }
      }
});

test("every binary16 is widened to what it means, and comes back", () => {
  const { exports, memory } = instantiateKernel(64 << 20);
  memory.grow(32);
  const n = 65_536;
  const halves = new Uint16Array(memory.buffer, SCRATCH, n).map((_, i) => i);
  new Uint16Array(memory.buffer, SCRATCH, n).set(halves);
  const floats = new Float32Array(memory.buffer, SCRATCH + 2 * n, n);
  exports.readHalves(SCRATCH, SCRATCH + 2 * n, n);
  same(floats, floatsOfHalves(halves), "read");
  exports.writeHalves(SCRATCH + 2 * n, SCRATCH, n);
  same(floatsOfHalves(new Uint16Array(memory.buffer, SCRATCH, n)), floats, "written");
});

test("halves in the upper half of the room of their floats are widened in place", () => {
  const { exports, memory } = instantiateKernel(64 << 20);
  const random = new Prng(3);
  for (let n = 0; n < 70; n++)
    for (const at of [SCRATCH, SCRATCH + 4]) {
      const halves = Uint16Array.from({ length: n }, () => random.below(65_536));
      new Uint16Array(memory.buffer, at + 2 * n, n).set(halves);
      exports.readHalves(at + 2 * n, at, n);
      same(new Float32Array(memory.buffer, at, n), floatsOfHalves(halves), `${n} numbers`);
    }
});

test.run();
