// Kernel and oracle against the float64 traces of make-traces.py: 1,000 steps with duplicate keys and long rests.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { GradientOptions } from "../../lib/api/gradients.js";
import { encodeInitializer, zeros } from "../../lib/api/initializers.js";
import { encodeOptimizer, parseOptimizer } from "../../lib/api/optimizers.js";
import { Prng } from "../../lib/base/prng.js";
import { firstDifference, type OracleDefinition, OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { kernelSubject, type Row } from "../kernel/optimizers-subject.js";

interface Golden {
  readonly rows: number;
  readonly dim: number;
  readonly steps: number;
  readonly batch: number;
  readonly learningRate: number;
  readonly cases: readonly Case[];
}

interface Case {
  readonly kind: string;
  readonly options: GradientOptions & Record<string, unknown>;
  readonly peerError: { readonly largest: number; readonly rootMeanSquare: number };
  readonly after1: readonly number[][];
  readonly after1000: readonly number[][];
}

interface Push {
  readonly keys: readonly number[];
  readonly gradients: Float32Array;
}

const file = new URL("../../../spec/golden/optimizers.jsonl", import.meta.url);
const [head, ...cases] = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as unknown);
const golden = { ...(head as Omit<Golden, "cases">), cases } as Golden;
const { weights, pushes } = makeTrace();

/** What trace() of make-traces.py makes. */
function makeTrace(): { weights: Float32Array[]; pushes: Push[] } {
  const stream = new Prng(2024);
  const centered = () => (stream.u32() >>> 8) * 2 ** -24 - 0.5;
  const row = (scale: (element: number) => number) =>
    Float32Array.from({ length: golden.dim }, (_, element) => centered() * scale(element));
  const weights = Array.from({ length: golden.rows }, () => row(() => 1));
  const pushes = Array.from({ length: golden.steps }, (_, i) => {
    const keys = keysOf(i + 1, stream);
    const gradients = keys.flatMap(() => [...row((element) => 2 ** ((element % 4) - 1))]);
    return { keys, gradients: Float32Array.from(gradients) };
  });
  return { weights, pushes };
}

function keysOf(step: number, stream: Prng): number[] {
  const drawn = Array.from({ length: golden.batch }, () => stream.u32() % 12);
  if (step === 1) return [...Array(golden.rows).keys(), ...drawn];
  if (step === golden.steps) return [12, 13, 14, 15, ...drawn];
  return step >= 700 && step % 10 === 0 ? [12, 13, ...drawn] : drawn;
}

function definitionOf({ kind, options }: Case): OracleDefinition {
  const { clip, bounds, ...rest } = options;
  const optimizer = parseOptimizer({ kind, learningRate: golden.learningRate, ...rest });
  return {
    dim: golden.dim,
    seed: 0n,
    optimizer: encodeOptimizer(optimizer, { clip, bounds }),
    initializer: encodeInitializer(zeros()),
    learningRate: golden.learningRate,
  };
}

/** Weights after 1 and after all steps, by the oracle's table. */
function runOracle(definition: OracleDefinition): Float32Array[][] {
  const table = new OracleTable(definition);
  const all = weights.map((_, key) => BigInt(key));
  table.assign(all, Float32Array.from(weights.flatMap((row) => [...row])));
  const snapshot = () => all.map((key) => table.pull([key]));
  let first: Float32Array[] = [];
  pushes.forEach(({ keys, gradients }, i) => {
    table.push(keys.map(BigInt), gradients, { step: i + 1 });
    if (i === 0) first = snapshot();
  });
  return [first, snapshot()];
}

/** The same by the kernel; equal keys are summed here. */
function runKernel(definition: OracleDefinition): Float32Array[][] {
  const { dim } = definition;
  const kernel = kernelSubject(definition);
  const rows: Row[] = weights.map((row) => ({ weights: row.slice(), state: kernel.initialState() }));
  const snapshot = () => rows.map((row) => row.weights.slice());
  let first: Float32Array[] = [];
  pushes.forEach(({ keys, gradients }, i) => {
    const distinct = [...new Set(keys)];
    const sums = new Float32Array(distinct.length * dim);
    keys.forEach((key, k) => {
      const at = distinct.indexOf(key) * dim;
      for (let e = 0; e < dim; e++) sums[at + e] += gradients[k * dim + e];
    });
    kernel.apply(
      distinct.map((key) => rows[key]),
      sums,
      golden.learningRate,
      i + 1,
    );
    if (i === 0) first = snapshot();
  });
  return [first, snapshot()];
}

function errorsOf(found: readonly Float32Array[], exact: readonly number[][]): number[] {
  return found.flatMap((row, i) => [...row].map((value, e) => Math.abs(value - exact[i][e])));
}

for (const trace of golden.cases) {
  test(`${trace.kind} ${JSON.stringify(trace.options)} follows its trace`, () => {
    const definition = definitionOf(trace);
    const oracle = runOracle(definition);
    const kernel = runKernel(definition);
    for (const [i, row] of kernel[1].entries()) assert.is(firstDifference(row, oracle[1][i]), -1, `row ${i}`);
    // Relative to the larger of the weight before and after: where a step nearly cancels a weight, the rest has few digits.
    const before = weights.flatMap((row) => [...row]);
    const scale = trace.after1.flat().map((after, i) => Math.max(Math.abs(after), Math.abs(before[i])));
    for (const [first, last] of [oracle, kernel]) {
      errorsOf(first, trace.after1).forEach((error, i) => {
        assert.ok(error <= 1e-6 * scale[i], `element ${i} after one step: ${error / scale[i]} relative`);
      });
      const errors = errorsOf(last, trace.after1000);
      const rootMeanSquare = Math.sqrt(errors.reduce((sum, error) => sum + error ** 2, 0) / errors.length);
      const largest = Math.max(...errors);
      const { peerError } = trace;
      const ratios = `${largest / peerError.largest} and ${rootMeanSquare / peerError.rootMeanSquare} times the peer's`;
      assert.ok(largest <= 2 * peerError.largest, ratios);
      assert.ok(rootMeanSquare <= 2 * peerError.rootMeanSquare, ratios);
    }
  });
}

test("the traces cover every optimizer", () => {
  assert.is(golden.steps, 1000);
  const kinds = [...new Set(golden.cases.map(({ kind }) => kind))].sort();
  assert.equal(kinds, ["adagrad", "adam", "adamW", "ftrl", "rowWiseAdagrad", "sgd"]);
});

test.run();
