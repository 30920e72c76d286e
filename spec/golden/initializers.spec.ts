// Initial values by kernel and oracle against those that make-initial-values.py computes in Python.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { encodeInitializer, parseInitializer } from "../../lib/api/initializers.js";
import { encodeOptimizer, sgd } from "../../lib/api/optimizers.js";
import { inverseNormal, naturalLog } from "../../lib/kernel/oracle/inverse-normal.js";
import type { OracleDefinition } from "../../lib/kernel/oracle/oracle-table.js";
import { kernelSubject, oracleSubject } from "../kernel/optimizers-subject.js";

interface Golden {
  readonly initializer: { readonly kind: string };
  readonly seed: string;
  readonly key: string;
  /** float32s, 8 hexadecimal digits each. */
  readonly bits: string;
}

const file = new URL("../../../spec/golden/initializers.jsonl", import.meta.url);
const lines = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as unknown);
const goldens = lines.slice(0, -1) as Golden[];
const { inverseNormal: quantiles } = lines.at(-1) as { inverseNormal: [number, number, number][] };

function bitsOf(row: Float32Array): string {
  return [...new Uint32Array(row.buffer)].map((word) => word.toString(16).padStart(8, "0")).join("");
}

test("kernel and oracle compute the golden initial values", () => {
  assert.is(goldens.length, 105);
  for (const golden of goldens) {
    const definition: OracleDefinition = {
      dim: golden.bits.length / 8,
      seed: BigInt(golden.seed),
      optimizer: encodeOptimizer(sgd({ learningRate: 1 })),
      initializer: encodeInitializer(parseInitializer(golden.initializer)),
      learningRate: 1,
    };
    for (const subject of [kernelSubject(definition), oracleSubject(definition)]) {
      const said = `${subject.name}, ${JSON.stringify(golden.initializer)}, seed ${golden.seed}, key ${golden.key}`;
      assert.is(bitsOf(subject.initialRow(BigInt(golden.key))), golden.bits, said);
    }
  }
});

test("docs/initializers.md prints the golden values", () => {
  const docs = readFileSync(new URL("../../../docs/initializers.md", import.meta.url), "utf8");
  const printed = docs.match(/^\| `\w+\(.*\)` \| \d+ \| \d+ \| [0-9a-f]{8} \| [0-9a-f]{8} \|$/gm) ?? [];
  const known = goldens.map(({ initializer: { kind, ...values }, seed, key, bits }) => {
    const call = `${kind}(${Object.values(values).join(", ")})`;
    return `| \`${call}\` | ${seed} | ${key} | ${bits.slice(0, 8)} | ${bits.slice(8, 16)} |`;
  });
  assert.is(printed.length, 9);
  for (const line of printed) assert.ok(known.includes(line), line);
});

test("the inverse normal distribution agrees with Python's and is the golden one to the bit", () => {
  for (const [p, python, own] of quantiles) {
    assert.is(inverseNormal(p), own, `p = ${p}`);
    assert.ok(Math.abs(own - python) <= 4e-15 * Math.abs(python), `p = ${p}: ${own} and Python's ${python}`);
  }
});

test("the logarithm is right to two units in the last place where the tails need it", () => {
  for (let x = 2 ** -53; x <= 0.075; x *= 1.000917) {
    const right = Math.log(x);
    assert.ok(Math.abs(naturalLog(x) - right) <= 2 ** -51 * Math.abs(right), `ln ${x}`);
  }
});

test.run();
