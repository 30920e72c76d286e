// One law: kernel and oracle give the same bits, for every optimizer, option, dimension and kind of number.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { GradientOptions } from "../../lib/api/gradients.js";
import { constant, encodeInitializer, uniform } from "../../lib/api/initializers.js";
import {
  adagrad,
  adam,
  adamW,
  encodeOptimizer,
  ftrl,
  type OptimizerDefinition,
  rowWiseAdagrad,
  sgd,
} from "../../lib/api/optimizers.js";
import { Prng } from "../../lib/base/prng.js";
import { firstDifference, type OracleDefinition, OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { kernelSubject, oracleSubject, type Row, type Subject } from "./optimizers-subject.js";

const lr = 0.05;
const optimizers: Record<string, OptimizerDefinition> = {
  sgd: sgd({ learningRate: lr }),
  "sgd, momentum": sgd({ learningRate: lr, momentum: 0.9 }),
  "sgd, Nesterov": sgd({ learningRate: lr, momentum: 0.9, nesterov: true }),
  "sgd, L2": sgd({ learningRate: lr, decay: 0.1 }),
  "sgd, decoupled decay": sgd({ learningRate: lr, decay: 0.1, decayKind: "decoupled" }),
  adagrad: adagrad({ learningRate: lr }),
  "adagrad, L2": adagrad({ learningRate: lr, eps: 0.1, initialAccumulator: 0.5, decay: 0.1 }),
  "row-wise adagrad": rowWiseAdagrad({ learningRate: lr, initialAccumulator: 0.01 }),
  "row-wise adagrad, decoupled decay": rowWiseAdagrad({
    learningRate: lr,
    decay: 0.1,
    decayKind: "decoupled",
  }),
  adam: adam({ learningRate: lr }),
  "adam, L2, beta1 0.4": adam({ learningRate: lr, beta1: 0.4, beta2: 0.9, decay: 0.1 }),
  "adam, beta1 0": adam({ learningRate: lr, beta1: 0 }),
  "adam, table's step": adam({ learningRate: lr, step: "table" }),
  adamW: adamW({ learningRate: lr, decay: 0.1 }),
  "adamW, table's step": adamW({ learningRate: lr, step: "table" }),
  ftrl: ftrl({ learningRate: lr }),
  "ftrl, lambdas": ftrl({ learningRate: lr, beta: 0.5, lambda1: 0.3, lambda2: 0.01 }),
};

const limits: Record<string, GradientOptions> = {
  none: {},
  "clip value": { clip: { value: 0.3 } },
  "clip norm": { clip: { norm: 0.7 } },
  bounds: { bounds: [-0.2, 0.1] },
  "clip norm, bounds": { clip: { norm: 0.3 }, bounds: [-1, 1] },
};

const dims = [1, 2, 3, 4, 5, 7, 8, 16, 17, 64, 100];

/** Gradients by kind: a draw from each. */
const kinds: Record<string, (random: Prng) => number> = {
  normal: (random) => random.normal(),
  mixed: (random) => random.normal() * 10 ** (random.below(60) - 30),
  denormal: (random) => random.normal() * 1e-42,
  zeros: (random) => (random.below(2) ? 0 : -0),
  huge: (random) => random.normal() * 1e38,
};

function definitionOf(
  optimizer: OptimizerDefinition,
  dim: number,
  options: GradientOptions,
): OracleDefinition {
  return {
    dim,
    seed: 7n,
    optimizer: encodeOptimizer(optimizer, options),
    initializer: encodeInitializer(uniform(-0.5, 0.5)),
    learningRate: lr,
  };
}

/** Runs 6 pushes over 5 rows, every other row left out at times. */
function rowsAfter(subject: Subject, dim: number, draw: (random: Prng) => number): Row[] {
  const random = new Prng(dim);
  const rows = Array.from({ length: 5 }, (_, i) => ({
    weights: subject.initialRow(BigInt(i)),
    state: subject.initialState(),
  }));
  for (let step = 1; step <= 6; step++) {
    const pushed = rows.filter((_, i) => (step + i) % 3 !== 0);
    const gradients = Float32Array.from({ length: pushed.length * dim }, () => draw(random));
    // A gradient as a store lets it through is finite.
    const finite = gradients.map((g) => (Number.isFinite(g) ? g : 3e38));
    subject.apply(pushed, finite, step % 2 ? lr : 0.007, step * 1000);
  }
  return rows;
}

for (const [name, optimizer] of Object.entries(optimizers)) {
  for (const [limit, options] of Object.entries(limits)) {
    test(`${name}; ${limit}: kernel and oracle have the same bits`, () => {
      for (const dim of dims) {
        const definition = definitionOf(optimizer, dim, options);
        for (const [kind, draw] of Object.entries(kinds)) {
          const kernel = rowsAfter(kernelSubject(definition), dim, draw);
          const oracle = rowsAfter(oracleSubject(definition), dim, draw);
          kernel.forEach((row, i) => {
            for (const field of ["weights", "state"] as const) {
              const j = firstDifference(row[field], oracle[i][field]);
              const found = `dim ${dim}, ${kind}, row ${i}: ${field}[${j}] is ${row[field][j]}, expected ${oracle[i][field][j]}`;
              assert.is(j, -1, found);
            }
          });
        }
      }
    });
  }
}

test("prepared gradients of a block longer than the scratch are applied in runs", () => {
  for (const dim of [100, 1000, 4095, 4096]) {
    const definition = definitionOf(optimizers["adagrad, L2"], dim, { clip: { norm: 0.5 } });
    const [kernel, oracle] = [kernelSubject(definition), oracleSubject(definition)];
    const results = [kernel, oracle].map((subject) => {
      const random = new Prng(1);
      const rows = Array.from({ length: 64 }, (_, i) => ({
        weights: subject.initialRow(BigInt(i)),
        state: subject.initialState(),
      }));
      subject.apply(
        rows,
        Float32Array.from({ length: 64 * dim }, () => random.unit() - 0.5),
        lr,
        1,
      );
      return rows;
    });
    results[0].forEach((row, i) => void assert.is(firstDifference(row.weights, results[1][i].weights), -1));
  }
});

test("an own count of any bits is taken as a whole number from 1 to 2^24", () => {
  const definition = definitionOf(optimizers.adam, 4, {});
  const cases = [0, 0.5, 1, 16777215, 16777216, 1e30, -5, -1, Number.NaN, Number.POSITIVE_INFINITY];
  const expected = [1, 1, 2, 16777216, 16777216, 16777216, 1, 1, 1, 16777216];
  for (const subject of [kernelSubject(definition), oracleSubject(definition)]) {
    const rows = cases.map((count) => ({
      weights: new Float32Array(4),
      state: new Float32Array(9).fill(count, 8),
    }));
    subject.apply(rows, new Float32Array(4 * rows.length).fill(1), lr, 1);
    assert.equal(
      rows.map((row) => row.state[8]),
      expected,
      subject.name,
    );
    assert.ok(
      rows.every((row) => Number.isFinite(row.weights[0]) && row.weights[0] < 0),
      subject.name,
    );
  }
});

test("a table's step may be any u32", () => {
  const definition = definitionOf(adam({ learningRate: lr, beta2: 0.99999994, step: "table" }), 3, {});
  for (const step of [1, 2, 3, 2 ** 24, 2 ** 31, 2 ** 32 - 1]) {
    const [kernel, oracle] = [kernelSubject(definition), oracleSubject(definition)].map((subject) => {
      const row = { weights: subject.initialRow(1n), state: subject.initialState() };
      subject.apply([row], Float32Array.of(0.1, -2, 1e-20), lr, step);
      return row.weights;
    });
    assert.is(firstDifference(kernel, oracle), -1, `step ${step}`);
    assert.ok(kernel.every(Number.isFinite), `step ${step}`);
  }
});

test("the factor of decoupled decay is rounded once", () => {
  const rate = 0.05;
  const expected = Math.fround(1 - Math.fround(rate) * 0.37);
  const inFloats = Math.fround(1 - Math.fround(Math.fround(rate) * Math.fround(0.37)));
  assert.is.not(expected, inFloats);
  const decaying = sgd({ learningRate: rate, decay: 0.37, decayKind: "decoupled" });
  for (const subjectOf of [kernelSubject, oracleSubject]) {
    const row = { weights: new Float32Array(5).fill(1), state: new Float32Array(0) };
    subjectOf(definitionOf(decaying, 5, {})).apply([row], new Float32Array(5), rate, 1);
    assert.equal([...row.weights], new Array(5).fill(expected));
  }
});

test("a value above the clip is the clip; a norm above it is scaled down, however huge", () => {
  for (const subjectOf of [kernelSubject, oracleSubject]) {
    const value = subjectOf(definitionOf(sgd({ learningRate: 1 }), 5, { clip: { value: 0.5 } }));
    const norm = subjectOf(definitionOf(sgd({ learningRate: 1 }), 5, { clip: { norm: 1 } }));
    const gradient = Float32Array.of(3e38, -3e38, 0.25, -0.25, 0);
    const row = () => ({ weights: new Float32Array(5), state: new Float32Array(0) });
    const [clipped, scaled] = [row(), row()];
    value.apply([clipped], gradient, 1, 1);
    norm.apply([scaled], gradient, 1, 1);
    assert.equal([...clipped.weights], [-0.5, 0.5, -0.25, 0.25, 0]);
    const half = Math.fround(Math.SQRT1_2);
    assert.ok(Math.abs(scaled.weights[0] + half) < 1e-6 && Math.abs(scaled.weights[1] - half) < 1e-6);
  }
});

test("the oracle's table sums equal keys in order, counts occurrences and keeps the request's step", () => {
  const definition: OracleDefinition = {
    dim: 1,
    seed: 0n,
    optimizer: encodeOptimizer(sgd({ learningRate: 1 })),
    initializer: encodeInitializer(constant(2)),
    learningRate: 1,
  };
  const table = new OracleTable(definition);
  // In float32, (1e8 + 1) - 1e8 is 0 while (1e8 - 1e8) + 1 would be 1.
  table.push([5n, 6n, 5n, 5n], Float32Array.of(1e8, 0.5, 1, -1e8), { step: 9 });
  assert.equal([...table.pull([5n, 6n, 7n])], [2, 1.5, 2]);
  assert.equal([...table.contains([5n, 6n, 7n])], [1, 1, 0]);
  const rows = new Map(table.entries());
  assert.is(rows.get(5n)?.frequency, 3);
  assert.is(rows.get(5n)?.lastStep, 9);

  const copy = table.clone();
  assert.ok(copy.equals(table.entries()));
  table.push([6n], Float32Array.of(1));
  assert.is(copy.equals(table.entries()), false);
  assert.is(copy.delete([5n, 5n, 7n]), 1);
  assert.is(copy.difference(table.entries()), "key 5 should not exist");
});

test.run();
