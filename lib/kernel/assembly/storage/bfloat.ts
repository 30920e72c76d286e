// bfloat16, the upper half of a float32, four numbers at a time. A number lies in the low 16 bits of an i32 lane.

const MAGNITUDE: i32 = 0x7fffffff;
const INFINITE: i32 = 0x7f800000;
/** Just below what would round down to the infinite: what is finite and beyond becomes the largest finite number. */
const MAX_FINITE: i32 = 0x7f7fffff;

/** Exact. */
export function bfloatToFloat(numbers: v128): v128 {
  return i32x4.shl(numbers, 16);
}

/** To the nearest bfloat16, ties to even. */
export function floatToBfloat(values: v128): v128 {
  const odd = v128.and(i32x4.shr_u(values, 16), i32x4.splat(1));
  return assembled(values, i32x4.add(odd, i32x4.splat(0x7fff)));
}

/** To one of the two numbers beside it, so that the mean over all `bits` is the value. */
export function floatToBfloatByChance(values: v128, bits: v128): v128 {
  // Goes over to the next where the 16 bits that are cut off are above the first 16 of `bits`: as eitherSide of chance.ts.
  return assembled(values, i32x4.shr_u(v128.not(bits), 16));
}

/** Adds to the magnitude, cuts off its lower half, and gives it its sign. */
function assembled(values: v128, added: v128): v128 {
  const magnitude = v128.and(values, i32x4.splat(MAGNITUDE));
  const sign = v128.and(i32x4.shr_u(values, 16), i32x4.splat(0x8000));
  const moved = i32x4.min_s(i32x4.add(magnitude, added), i32x4.splat(MAX_FINITE));
  const finite = v128.or(i32x4.shr_u(moved, 16), sign);
  const endless = i32x4.ge_s(magnitude, i32x4.splat(INFINITE));
  if (!v128.any_true(endless)) return finite;
  const nan = i32x4.gt_s(magnitude, i32x4.splat(INFINITE));
  const special = v128.bitselect(i32x4.splat(0x7fc0), v128.or(i32x4.splat(0x7f80), sign), nan);
  return v128.bitselect(special, finite, endless);
}
