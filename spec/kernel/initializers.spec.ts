import { test } from "uvu";
import * as assert from "uvu/assert";
import {
  constant,
  encodeInitializer,
  type InitializerDefinition,
  normal,
  truncatedNormal,
  uniform,
  zeros,
} from "../../lib/api/initializers.js";
import { adagrad, adam, encodeOptimizer, rowWiseAdagrad } from "../../lib/api/optimizers.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { firstDifference, type OracleDefinition } from "../../lib/kernel/oracle/oracle-table.js";
import { kernelSubject, oracleSubject } from "./optimizers-subject.js";

const dims = [1, 2, 3, 4, 5, 7, 8, 16, 17, 64, 100, 4096];
const initializers: InitializerDefinition[] = [
  zeros(),
  constant(-0.3),
  uniform(-0.01, 0.01),
  uniform(0, 1e-40),
  uniform(-1, 0),
  uniform(-3e38, 3e38),
  normal(0, 0.1),
  truncatedNormal(1, 5),
];

function definitionOf(initializer: InitializerDefinition, dim: number, seed: bigint): OracleDefinition {
  const optimizer = encodeOptimizer(adagrad({ learningRate: 0.1 }));
  return { dim, seed, optimizer, initializer: encodeInitializer(initializer), learningRate: 0.1 };
}

/** The values of 1,000 keys. */
function draw(initializer: InitializerDefinition, dim = 17): number[] {
  const kernel = kernelSubject(definitionOf(initializer, dim, 3n));
  return Array.from({ length: 1000 }, (_, key) => [...kernel.initialRow(BigInt(key))]).flat();
}

for (const initializer of initializers) {
  test(`${JSON.stringify(initializer)}: kernel and oracle have the same bits`, () => {
    for (const dim of dims) {
      for (const seed of [0n, 0xffff_ffff_ffff_ffffn]) {
        const definition = definitionOf(initializer, dim, seed);
        const [kernel, oracle] = [kernelSubject(definition), oracleSubject(definition)];
        for (const key of [0n, 1n, 1n << 40n, 0xffff_ffff_ffff_ffffn]) {
          const i = firstDifference(kernel.initialRow(key), oracle.initialRow(key));
          assert.is(i, -1, `dim ${dim}, key ${key}, element ${i}`);
        }
      }
    }
  });
}

test("a longer row begins with the shorter one", () => {
  for (const initializer of initializers) {
    const [long, short] = [64, 7].map((dim) =>
      kernelSubject(definitionOf(initializer, dim, 1n)).initialRow(5n),
    );
    assert.equal([...long.subarray(0, 7)], [...short]);
  }
});

test("uniform values fill [lower, upper), which rounding does not reach", () => {
  const values = draw(uniform(-0.25, 0.75));
  assert.ok(Math.min(...values) >= -0.25 && Math.max(...values) < 0.75);
  assert.ok(Math.abs(mean(values) - 0.25) < 0.01);
  const counts = new Array<number>(10).fill(0);
  for (const value of values) counts[Math.floor((value + 0.25) * 10)] += 1;
  assert.ok(
    counts.every((count) => Math.abs(count - 1700) < 200),
    String(counts),
  );

  const edge = draw(uniform(0.9999998, 1));
  assert.is(Math.max(...edge), 1 - 2 ** -24);
  assert.is(Math.min(...edge), Math.fround(0.9999998));
});

test("normal values have their mean and deviation, truncated ones stay within two of them", () => {
  const values = draw(normal(2, 0.5));
  assert.ok(Math.abs(mean(values) - 2) < 0.02);
  assert.ok(Math.abs(deviation(values) - 0.5) < 0.01);
  const beyond = values.filter((value) => Math.abs(value - 2) > 1).length / values.length;
  assert.ok(Math.abs(beyond - 0.0455) < 0.005, `${beyond} beyond two deviations`);

  const truncated = draw(truncatedNormal(2, 0.5));
  assert.ok(truncated.every((value) => value >= 1 && value <= 3));
  assert.ok(Math.abs(deviation(truncated) - 0.5 * 0.8796) < 0.01);
});

test("the state of a new row is the initial accumulator, or zeros", () => {
  const optimizers = [
    encodeOptimizer(adagrad({ learningRate: 1, initialAccumulator: 0.1 })),
    encodeOptimizer(rowWiseAdagrad({ learningRate: 1, initialAccumulator: 0.1 })),
    encodeOptimizer(adam({ learningRate: 1 })),
  ];
  const expected = [[...new Float32Array(3).fill(0.1)], [Math.fround(0.1)], [0, 0, 0, 0, 0, 0, 0]];
  for (const [i, optimizer] of optimizers.entries()) {
    const definition = { ...definitionOf(zeros(), 3, 0n), optimizer };
    for (const subject of [kernelSubject(definition), oracleSubject(definition)]) {
      assert.equal([...subject.initialState()], expected[i], subject.name);
    }
  }
});

test("a key's hash is XXH64 of its bytes", () => {
  // xxhash's own command line: XXH64 of eight zero bytes, seed 0.
  assert.is(hashKey(0n, 0n), 0x34c96acdcadb1bbbn);
});

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function deviation(values: readonly number[]): number {
  const center = mean(values);
  return Math.sqrt(mean(values.map((value) => (value - center) ** 2)));
}

test.run();
