// Keys, gradients and rows that are none.
import { test } from "uvu";
import type { Table } from "../../lib/index.js";
import { keysOfNumbers } from "../laws/twin.js";
import { type Case, detached, keys, refuseAll, rows, shrunk, wrong } from "./wrong-arguments.js";

const notKeys: [string, unknown][] = [
  ["undefined", undefined],
  ["null", null],
  ["an array", [1n, 2n]],
  ["numbers", Float64Array.of(1, 2)],
  ["signed", BigInt64Array.of(1n, 2n)],
  ["bytes", new Uint8Array(16)],
  ["a buffer", new ArrayBuffer(16)],
  ["what only looks like keys", Object.create(BigUint64Array.prototype)],
];
const notFloats: [string, unknown][] = [
  ["undefined", undefined],
  ["an array", [0, 0, 0, 0, 0, 0]],
  ["doubles", new Float64Array(6)],
  ["a buffer", new ArrayBuffer(24)],
  ["too short", new Float32Array(5)],
  ["too long", new Float32Array(7)],
];

function arrayCases(): Case[] {
  const cases: Case[] = [];
  const methods: [string, (table: Table, keys: BigUint64Array, floats?: Float32Array) => unknown][] = [
    ["pull", (table, keys) => table.pull(keys)],
    ["contains", (table, keys) => table.contains(keys)],
    ["delete", (table, keys) => table.delete(keys)],
    ["push", (table, keys, floats) => table.push(keys, floats ?? rows)],
    ["assign", (table, keys, floats) => table.assign(keys, floats ?? rows)],
  ];
  for (const [method, call] of methods) {
    for (const [what, value] of notKeys) {
      cases.push([
        `${method}, keys: ${what}`,
        ({ table }) => call(table, wrong(value)),
        "INVALID_ARGUMENT",
        /keys: found .*expected a BigUint64Array/,
      ]);
    }
    const gone = () => detached(keysOfNumbers(1, 2));
    cases.push([
      `${method}, keys: detached`,
      ({ table }) => call(table, gone()),
      "INVALID_ARGUMENT",
      /detached/,
    ]);
    const outside = () => shrunk(BigUint64Array, 2, 8);
    cases.push([
      `${method}, keys: shrunk`,
      ({ table }) => call(table, outside()),
      "INVALID_ARGUMENT",
      /outside its buffer/,
    ]);
    if (call.length < 3) continue;
    for (const [what, value] of notFloats) {
      cases.push([
        `${method}, values: ${what}`,
        ({ table }) => table[method as "push"](keys, wrong(value)),
        "INVALID_ARGUMENT",
        /found .*expected /,
      ]);
    }
    cases.push([
      `${method}, values: detached`,
      ({ table }) => call(table, keys, detached(new Float32Array(6))),
      "INVALID_ARGUMENT",
      /detached/,
    ]);
    cases.push([
      `${method}, values: shrunk`,
      ({ table }) => call(table, keys, shrunk(Float32Array, 6, 4)),
      "INVALID_ARGUMENT",
      /outside its buffer/,
    ]);
    cases.push([
      `${method}: a NaN`,
      ({ table }) => call(table, keys, Float32Array.of(0, 0, 0, 0, Number.NaN, 0)),
      "NON_FINITE",
      /key 2 .*element 1.*[Gg]ive/,
    ]);
    cases.push([
      `${method}: an infinity`,
      ({ table }) =>
        call(
          table,
          keys,
          rows.map(() => -1 / 0),
        ),
      "NON_FINITE",
      /key 1 .*-Infinity/,
    ]);
    const many = new BigUint64Array((1 << 22) + 1);
    cases.push([
      `${method}: too many keys`,
      ({ table }) => call(table, many, new Float32Array(0)),
      "TOO_LARGE",
      /4194305 keys.*4194304.*split/,
    ]);
  }
  return cases;
}

test("wrong arrays", () => refuseAll(arrayCases()));

test.run();
