// lib/kernel repeats for TypeScript what lib/kernel/assembly fixes: the two are held equal here.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import * as layout from "../../lib/kernel/layout.js";
import { FLAGS, INITIALIZERS, OPTIMIZERS } from "../../lib/kernel/programs.js";
import { ELEMENT_BYTES, ROUNDINGS, STORAGES } from "../../lib/kernel/storage.js";

/** The numeric constants of an AssemblyScript file, by name. */
function constantsOf(file: string): Map<string, number> {
  const text = readFileSync(new URL(`../../../lib/kernel/assembly/${file}`, import.meta.url), "utf8");
  const constants = new Map<string, number>();
  for (const [, name, value] of text.matchAll(/^export const ([A-Z][A-Z0-9_]*): \w+ = ([^;]+);/gm)) {
    const [, base, shift] = /^(\w+)(?: << (\d+))?$/.exec(value) ?? [];
    const number = Number(base) * 2 ** Number(shift ?? 0);
    assert.ok(Number.isFinite(number), `${file}: ${name} is ${value}, which this spec cannot read`);
    constants.set(name, number);
  }
  return constants;
}

/** Known to TypeScript only, or no constant of the layout. */
const ours = new Set(["SPLIT_ABOVE", "KIND_DROPPED", "MAX_TABLES", "PAGE_META_BYTES", "CREATED"]);

test("layout.ts says what assembly/layout.ts says", () => {
  const fixed = constantsOf("layout.ts");
  const repeated = Object.entries(layout).filter(([, value]) => typeof value === "number");
  assert.ok(repeated.length > 30);
  for (const [name, value] of repeated) if (!ours.has(name)) assert.is(value, fixed.get(name), name);
  const index = readFileSync(new URL("../../../lib/kernel/assembly/index.ts", import.meta.url), "utf8");
  assert.match(index, `SPLIT_ABOVE: u32 = ${layout.SPLIT_ABOVE};`);
  assert.is(layout.CREATED, constantsOf("record.ts").get("CREATED"));
});

test("the parts of memory lie one behind the other", () => {
  const { PAGE_LSNS, PAGE_METAS, TABLES, SCRATCH, SCRATCH_BYTES, PAGE_BYTES, MAX_PAGES, FIRST_PAGE } = layout;
  assert.is(PAGE_LSNS + 8 * MAX_PAGES, PAGE_METAS);
  assert.is(PAGE_METAS + layout.PAGE_META_BYTES * MAX_PAGES, TABLES);
  assert.is(TABLES + layout.TABLE_BYTES * layout.MAX_TABLES, SCRATCH);
  assert.is(SCRATCH + SCRATCH_BYTES, FIRST_PAGE * PAGE_BYTES);
  assert.is(MAX_PAGES * PAGE_BYTES, 2 ** 32);
  const kinds = new Set([layout.KIND_FREE, layout.KIND_ROWS, layout.KIND_SCRATCH, layout.KIND_DROPPED]);
  const fixed = constantsOf("layout.ts");
  for (const [name, value] of fixed) if (name.startsWith("KIND_")) kinds.add(value);
  assert.is(
    kinds.size,
    [...fixed.keys()].filter((name) => name.startsWith("KIND_")).length + 1,
    "each kind has a number of its own",
  );
});

test("programs.ts has the numbers of assembly/optimizers/codes.ts", () => {
  const codes = new Map([...constantsOf("optimizers/codes.ts")].map(([name, value]) => [plain(name), value]));
  const ours = { ...prefixed("", OPTIMIZERS), ...prefixed("", FLAGS), ...prefixed("", INITIALIZERS) };
  for (const [name, value] of Object.entries(ours)) {
    const match = [...codes].filter(([code]) => code.endsWith(plain(name)));
    assert.ok(
      match.some(([, code]) => code === value),
      `${name} = ${value}, found ${JSON.stringify(match)}`,
    );
  }
  assert.is(codes.size, Object.keys(ours).length);
});

test("storage.ts has the numbers of assembly/storage/codes.ts", () => {
  const codes = constantsOf("storage/codes.ts");
  const ours = { ...STORAGES, ...ROUNDINGS };
  for (const [name, value] of Object.entries(ours)) assert.is(codes.get(name.toUpperCase()), value, name);
  assert.is(codes.size, Object.keys(ours).length);
});

test("the parts of a record follow one another, each at a multiple of 4", () => {
  const dims = [1, 2, 3, 5, 64, 4095, 4096];
  const states = (dim: number) =>
    [
      [0, 0],
      [1, 1],
      [dim, 0],
      [2 * dim, 0],
      [2 * dim + 1, 1],
    ] as const;
  for (const storage of ["f32", "f16", "bf16", "int8"] as const)
    for (const stateStorage of ["f32", "bf16"] as const)
      for (const extrasBytes of [0, 4, 12])
        for (const dim of dims)
          for (const [stateFloats, stateScalars] of states(dim)) {
            const made = layout.recordLayout({
              dim,
              stateFloats,
              stateScalars,
              storage,
              stateStorage,
              extrasBytes,
            });
            const { scaleOffset, stateOffset, stateBytes, stateElements, scalarsOffset, extrasOffset } = made;
            const weightsEnd = layout.R_WEIGHTS + dim * ELEMENT_BYTES[storage];
            assert.is(scaleOffset !== undefined, storage === "int8");
            const end = scaleOffset ?? stateOffset;
            assert.ok(end >= weightsEnd && end < weightsEnd + 4);
            if (scaleOffset !== undefined) assert.is(stateOffset, scaleOffset + 4);
            assert.is(stateElements, stateFloats - stateScalars);
            const elementsEnd = stateOffset + stateElements * ELEMENT_BYTES[stateStorage];
            assert.ok(scalarsOffset >= elementsEnd && scalarsOffset < elementsEnd + 4);
            assert.is(extrasOffset, scalarsOffset + 4 * stateScalars);
            assert.is(stateBytes, extrasOffset - stateOffset);
            const used = extrasOffset + extrasBytes;
            assert.ok(made.recordBytes >= used && made.recordBytes < used + 8 && made.recordBytes % 8 === 0);
            for (const offset of [end, stateOffset, scalarsOffset, extrasOffset]) assert.is(offset % 4, 0);
          }
});

test("a record of float32 is its weights and its state, one behind the other", () => {
  const shape = { dim: 3, stateFloats: 7, stateScalars: 1, extrasBytes: 0 };
  const made = layout.recordLayout({ ...shape, storage: "f32", stateStorage: "f32" });
  assert.is(made.stateOffset, 28);
  assert.is(made.scalarsOffset, 52);
  assert.is(made.recordBytes, 56);
});

function plain(name: string): string {
  return name.replaceAll("_", "").toLowerCase();
}

function prefixed(prefix: string, numbers: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(numbers).map(([name, value]) => [prefix + name, value]));
}

test.run();
