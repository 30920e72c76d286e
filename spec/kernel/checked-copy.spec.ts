// Floats that are copied to a kernel arrive as they are, and the first that is not finite is found wherever it stands.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { copyChecked } from "../../lib/kernel/checked-copy.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { SCRATCH } from "../../lib/kernel/layout.js";

const { exports: kernel, memory } = instantiateKernel(64 << 20);
memory.grow(64);
const f32 = new Float32Array(memory.buffer);
const u32 = new Uint32Array(memory.buffer);

/** Bits of numbers that are not finite: infinities, quiet and signalling NaNs of both signs. */
const NON_FINITE = [0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffffffff];
/** Bits of finite numbers at the edges: zeros, the smallest, the largest. */
const FINITE = [0, 0x80000000, 1, 0x80000001, 0x007fffff, 0x7f7fffff, 0xff7fffff, 0x3f800000];

function finite(random: Prng, n: number): Uint32Array {
  return Uint32Array.from({ length: n }, () =>
    random.below(2) === 0 ? FINITE[random.below(FINITE.length)] : random.below(2 ** 32) & 0xbfffffff,
  );
}

/** Copies to `at` floats behind scratch, between two guards, and returns what was found. */
function copied(bits: Uint32Array, at: number): number {
  const first = SCRATCH / 4 + at;
  u32[first - 1] = u32[first + bits.length] = NON_FINITE[0];
  const found = copyChecked(f32, kernel, new Float32Array(bits.buffer, 0, bits.length), 4 * first);
  assert.equal(u32.slice(first, first + bits.length), bits);
  assert.is(u32[first - 1], NON_FINITE[0]);
  assert.is(u32[first + bits.length], NON_FINITE[0]);
  return found;
}

test("finite numbers of every length and place are copied, and nothing is found", () => {
  const random = new Prng(1);
  for (const n of [...Array(140).keys(), 2047, 2048, 2049, 5000])
    for (const at of [1, 2, 5, 16]) assert.is(copied(finite(random, n), at), -1, `${n} floats`);
});

test("the first that is not finite is found, whatever follows it", () => {
  const random = new Prng(2);
  for (const n of [1, 3, 4, 16, 31, 32, 33, 64, 100, 133])
    for (let place = 0; place < n; place++) {
      const bits = finite(random, n);
      bits[place] = NON_FINITE[random.below(NON_FINITE.length)];
      if (random.below(2) === 0) bits[place + random.below(n - place)] = NON_FINITE[2];
      assert.is(copied(bits, 1 + random.below(8)), place, `place ${place} of ${n}`);
    }
});

test("pieces of a long array are told apart", () => {
  const random = new Prng(3);
  for (const place of [0, 2047, 2048, 2049, 4095, 4096, 6000, 9999]) {
    const bits = finite(random, 10_000);
    for (let i = place; i < bits.length; i += 1 + random.below(3000))
      bits[i] = NON_FINITE[random.below(NON_FINITE.length)];
    assert.is(copied(bits, 1), place);
  }
});

test.run();
