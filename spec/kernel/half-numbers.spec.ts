// binary16 eight numbers at a time: the same bits as by fours, and as plain arithmetic says.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { SCRATCH } from "../../lib/kernel/layout.js";
import { store } from "../../lib/kernel/oracle/storage.js";
import { STORAGES } from "../../lib/kernel/storage.js";

const F16 = STORAGES.f16;
const { exports: kernel, memory } = instantiateKernel(64 << 20);
memory.grow(64);
const u32 = new Uint32Array(memory.buffer);
const f32 = new Float32Array(memory.buffer);
const u16 = new Uint16Array(memory.buffer);
const FROM = SCRATCH;
const INTO = SCRATCH + (1 << 20);

/** Bits of halves as float32s, `step` of them at a time. */
function widened(halves: Uint16Array, step: number): Uint32Array {
  u16.set(halves, FROM / 2);
  for (let i = 0; i < halves.length; i += step) kernel.widenRows(FROM + 2 * i, 0, 1, step, INTO + 4 * i, F16);
  return u32.slice(INTO / 4, INTO / 4 + halves.length);
}

function narrowed(floats: Float32Array, step: number): Uint16Array {
  f32.set(floats, FROM / 4);
  for (let i = 0; i < floats.length; i += step)
    kernel.narrowRows(FROM + 4 * i, 1, step, INTO + 2 * i, 0, F16);
  return u16.slice(INTO / 2, INTO / 2 + floats.length);
}

function plain(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 31;
  const fraction = half & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Number.POSITIVE_INFINITY : Number.NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * 2 ** (exponent - 25));
}

function shuffled<T extends Uint16Array | Float32Array>(values: T, random: Prng): T {
  for (let i = values.length - 1; i > 0; i--) {
    const other = random.below(i + 1);
    [values[i], values[other]] = [values[other], values[i]];
  }
  return values;
}

/** Numbers among normal ones only, and among all others. */
function mixes<T extends Uint16Array | Float32Array>(
  values: T,
  isNormal: (value: number) => boolean,
): readonly T[] {
  const random = new Prng(3);
  return [shuffled(values.filter(isNormal) as T, random), shuffled(values.slice() as T, random)];
}

const all = Uint16Array.from({ length: 65_536 }, (_, i) => i);
const isNormal = (half: number) => (half & 0x7c00) !== 0 && (half & 0x7c00) !== 0x7c00;

test("each half is read as what it is, beside whichever others", () => {
  for (const halves of mixes(all, isNormal)) {
    const floats = widened(halves, 8);
    assert.equal(floats, widened(halves, 4));
    const expected = Float32Array.from(halves, plain);
    halves.forEach((half, i) => {
      if (Number.isNaN(expected[i])) assert.ok((floats[i] & 0x7fff_ffff) > 0x7f80_0000, `half ${half}`);
    });
    assert.equal(
      floats.filter((_, i) => !Number.isNaN(expected[i])),
      new Uint32Array(expected.buffer).filter((_, i) => !Number.isNaN(expected[i])),
    );
  }
});

test("each number beside a half, and beside what lies between two, becomes the nearest", () => {
  const numbers: number[] = [];
  const bits = new Uint32Array(1);
  const float = new Float32Array(bits.buffer);
  for (let half = 0; half < 0x7c00; half += half > 0x400 && half < 0x7a00 ? 7 : 1)
    for (const between of [plain(half), (plain(half) + plain(Math.min(half + 1, 0x7bff))) / 2])
      for (const beside of [-1, 0, 1]) {
        float[0] = between;
        if (bits[0] === 0 && beside < 0) continue;
        bits[0] += beside;
        numbers.push(half % 2 === 0 ? float[0] : -float[0]);
      }
  for (const beyond of [65504.004, 65519.996, 65520, 1e5, 3.4e38, Number.POSITIVE_INFINITY, Number.NaN])
    numbers.push(beyond, -beyond);
  numbers.length &= ~7;
  const becomesNormal = (value: number) => Math.abs(value) >= 2 ** -14 && Math.abs(value) <= 65504;
  for (const given of mixes(Float32Array.from(numbers), becomesNormal)) {
    const floats = given.subarray(0, given.length & ~7);
    const halves = narrowed(floats, 8);
    assert.equal(halves, narrowed(floats, 4));
    const expected = floats.slice();
    store({ storage: "f16", stateStorage: "f32", rounding: "nearest" }, expected, new Float32Array(0), 0);
    assert.equal(Float32Array.from(halves, plain), expected);
  }
});

test("rows that lie at the end of their room are read before they are overwritten", () => {
  for (const n of [1, 7, 8, 9, 16, 64, 1000]) {
    const halves = Uint16Array.from({ length: n }, (_, i) => 0x3c00 + i);
    u16.set(halves, (INTO + 2 * n) / 2);
    kernel.widenRows(INTO + 2 * n, 0, 1, n, INTO, F16);
    assert.equal(f32.slice(INTO / 4, INTO / 4 + n), Float32Array.from(halves, plain), `${n} numbers`);
  }
});

test.run();
