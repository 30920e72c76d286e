// What float32s are stored as, by kernel and oracle, against what make-conversions.py says: NumPy's float16, PyTorch's bfloat16.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { byChance, type Round, store } from "../../lib/kernel/oracle/storage.js";
import type { WeightStorage } from "../../lib/kernel/storage.js";
import { StoredRows } from "../kernel/stored-rows.js";

/** float32s are 8 hexadecimal digits each, what they are stored as the digits of its own width. */
type Golden =
  | { kind: "f16"; from: string; bits: string; read: string }
  | { kind: "bf16"; from: string; bits: string; read: string }
  | { kind: "int8"; from: string; scale: string; bits: string; read: string }
  | ({ kind: "stochastic"; seed: string; key: string; step: number; frequency: number; from: string } & {
      [storage in "f16" | "bf16" | "int8"]: string;
    });

const file = new URL("../../../spec/golden/conversions.jsonl", import.meta.url);
const goldens = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Golden);

function floatsOf(hex: string): Float32Array {
  const view = new DataView(Uint8Array.from(Buffer.from(hex, "hex")).buffer);
  return Float32Array.from({ length: hex.length / 8 }, (_, i) => view.getFloat32(4 * i));
}

function hexOf(floats: Float32Array): string {
  return [...new Uint32Array(floats.slice().buffer)]
    .map((word) => word.toString(16).padStart(8, "0"))
    .join("");
}

/** What the oracle makes of a row. */
function stored(storage: WeightStorage, from: Float32Array, round?: Round): Float32Array {
  const weights = from.slice();
  const rounding = round ? "stochastic" : "nearest";
  store({ storage, stateStorage: "f32", rounding }, weights, new Float32Array(0), 0, round);
  return weights;
}

test("float16 and bfloat16 are those of NumPy and PyTorch, to the bit, in rows of every length", () => {
  const tested = goldens.flatMap((golden) =>
    golden.kind === "f16" || golden.kind === "bf16" ? [golden] : [],
  );
  assert.is(tested.length, 2);
  for (const { kind, from, bits, read } of tested) {
    const values = floatsOf(from);
    assert.ok(values.length >= 800);
    assert.is(hexOf(stored(kind, values)), read, `oracle, ${kind}`);
    for (const dim of [1, 3, 4, 7, 64]) {
      const rows = new StoredRows(dim, { storage: kind });
      const n = Math.floor(values.length / dim);
      const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));
      rows.assign(keys, values.slice(0, n * dim));
      assert.is(hexOf(rows.read(keys)), read.slice(0, 8 * n * dim), `kernel, ${kind}, dim ${dim}`);
      const words = [...keys].flatMap((key) => {
        const bytes = rows.bytes(key);
        return Array.from({ length: dim }, (_, i) =>
          bytes
            .getUint16(2 * i, true)
            .toString(16)
            .padStart(4, "0"),
        );
      });
      assert.is(words.join(""), bits.slice(0, 4 * n * dim), `kernel, ${kind}, dim ${dim}: bits`);
    }
  }
});

test("rows of int8 and their scales are the golden ones", () => {
  const tested = goldens.flatMap((golden) => (golden.kind === "int8" ? [golden] : []));
  assert.ok(tested.length > 60);
  for (const { from, scale, bits, read } of tested) {
    const values = floatsOf(from);
    const dim = values.length;
    assert.is(hexOf(stored("int8", values)), read, `oracle, ${from}`);
    const rows = new StoredRows(dim, { storage: "int8" });
    rows.assign(BigUint64Array.of(5n), values);
    assert.is(hexOf(rows.read(BigUint64Array.of(5n))), read, `kernel, ${from}`);
    const bytes = rows.bytes(5n);
    const found = Array.from({ length: dim }, (_, i) => bytes.getUint8(i).toString(16).padStart(2, "0")).join(
      "",
    );
    assert.is(found, bits, `kernel, ${from}: bits`);
    const at = rows.table.layout.scaleOffset! - 16;
    assert.is(bytes.getUint32(at, true).toString(16).padStart(8, "0"), scale, `kernel, ${from}: scale`);
  }
});

test("rounding by chance takes the golden side", () => {
  const tested = goldens.flatMap((golden) => (golden.kind === "stochastic" ? [golden] : []));
  assert.ok(tested.length > 60);
  for (const golden of tested) {
    const { step, frequency, from } = golden;
    const [seed, key] = [BigInt(golden.seed), BigInt(golden.key)];
    const values = floatsOf(from);
    for (const storage of ["f16", "bf16", "int8"] as const) {
      const said = `${storage}, seed ${seed}, key ${key}, step ${step}, frequency ${frequency}, ${from}`;
      const round = byChance(seed, key, { lastStep: step, frequency });
      assert.is(hexOf(stored(storage, values, round)), golden[storage], `oracle, ${said}`);
      const rows = new StoredRows(values.length, { storage, rounding: "stochastic", seed });
      rows.push(
        BigUint64Array.of(key),
        values.map((x) => -x),
        step,
        frequency,
      );
      assert.is(hexOf(rows.read(BigUint64Array.of(key))), golden[storage], `kernel, ${said}`);
    }
  }
});

test.run();
