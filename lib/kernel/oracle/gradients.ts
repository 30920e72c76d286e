import { FLAGS, type OptimizerProgram } from "../programs.js";

const f = Math.fround;

/** What the optimizer is to see of a gradient, a new f32[dim]: clipped, then L2 decay added. */
export function preparedGradient(
  program: OptimizerProgram,
  weights: Float32Array,
  gradient: Float32Array,
): Float32Array {
  const [clip, decay] = program.prepare;
  let prepared = gradient.slice();
  if (program.flags & FLAGS.clipValue) prepared = prepared.map((g) => clamp(g, -f(clip), f(clip)));
  if (program.flags & FLAGS.clipNorm) {
    const norm = Math.sqrt(laneSum(prepared, (sum, g) => sum + g * g));
    if (norm > clip) prepared = prepared.map((g) => f(g * f(clip / norm)));
  }
  if (program.flags & FLAGS.decayL2) prepared = prepared.map((g, i) => f(g + f(f(decay) * weights[i])));
  return prepared;
}

/** w *= 1 - lr decay, where decay is decoupled from the gradient. `learningRate` is a float32. */
export function decayWeights(program: OptimizerProgram, weights: Float32Array, learningRate: number): void {
  if (!(program.flags & FLAGS.decayDecoupled)) return;
  const factor = f(1 - learningRate * program.prepare[1]);
  for (let i = 0; i < weights.length; i++) weights[i] = f(weights[i] * factor);
}

export function boundWeights(program: OptimizerProgram, weights: Float32Array): void {
  if (!(program.flags & FLAGS.bounds)) return;
  const [, , lower, upper] = program.prepare;
  for (let i = 0; i < weights.length; i++) weights[i] = clamp(weights[i], f(lower), f(upper));
}

/** The sum over a row in the order that all kernels keep: element i in lane i & 3, then (0 + 1) + (2 + 3). */
export function laneSum(
  row: Float32Array,
  add: (sum: number, value: number) => number,
  round = (x: number) => x,
): number {
  const lanes = [0, 0, 0, 0];
  for (let i = 0; i < row.length; i++) lanes[i & 3] = add(lanes[i & 3], row[i]);
  return round(round(lanes[0] + lanes[1]) + round(lanes[2] + lanes[3]));
}

/** Not Math.min and Math.max, which treat NaN and -0 otherwise. */
function clamp(x: number, lower: number, upper: number): number {
  if (x < lower) return lower;
  if (upper < x) return upper;
  return x;
}
