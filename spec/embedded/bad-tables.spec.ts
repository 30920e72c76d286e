// Names, settings and tables that are none, dropped, or of another store.
import { test } from "uvu";
import { type Case, keys, next, optimizer, refuseAll, rows, wrong } from "./wrong-arguments.js";

const tableCases: Case[] = [
  ...[
    ["empty", ""],
    ["with a slash", "a/b"],
    ["a path", "../x"],
    ["__proto__", "__proto__"],
    ["with a space", "a b"],
    ["with a null", "a\0"],
    ["not ASCII", "täble"],
    ["over-long", "x".repeat(129)],
    ["a number", 5],
    ["null", null],
  ].flatMap(([what, name]): Case[] => [
    [
      `table, name: ${what}`,
      ({ store }) => store.table(wrong(name), { dim: 1, optimizer }),
      "INVALID_NAME",
      /found .*1 to 128/,
    ],
    [
      `tensor, name: ${what}`,
      ({ store }) => store.tensor(wrong(name), { shape: [1], optimizer }),
      "INVALID_NAME",
      /found .*1 to 128/,
    ],
  ]),
  ...[
    ["null", null],
    ["text", "dim"],
    ["without dim", { optimizer }],
    ["dim 0", { dim: 0, optimizer }],
    ["dim 4097", { dim: 4097, optimizer }],
    ["dim 1.5", { dim: 1.5, optimizer }],
    ["dim NaN", { dim: Number.NaN, optimizer }],
    ["dim text", { dim: "4", optimizer }],
    ["dim BigInt", { dim: 4n, optimizer }],
    ["without optimizer", { dim: 1 }],
    ["optimizer unknown", { dim: 1, optimizer: { kind: "lion", learningRate: 1 } }],
    ["optimizer text", { dim: 1, optimizer: "adagrad" }],
    ["optimizer __proto__", { dim: 1, optimizer: { kind: "__proto__" } }],
    ["initializer unknown", { dim: 1, optimizer, initializer: { kind: "xavier" } }],
    ["initializer reversed", { dim: 1, optimizer, initializer: { kind: "uniform", lower: 1, upper: 0 } }],
    ["seed negative", { dim: 1, optimizer, seed: -1 }],
    ["seed too great", { dim: 1, optimizer, seed: 2n ** 64n }],
    ["seed unsafe", { dim: 1, optimizer, seed: 2 ** 60 }],
    ["ack unknown", { dim: 1, optimizer, ack: "disk" }],
    ["logged text", { dim: 1, optimizer, logged: "yes" }],
    ["nonFinite unknown", { dim: 1, optimizer, nonFinite: "ignore" }],
    ["clip 0", { dim: 1, optimizer, clip: { value: 0 } }],
    ["clip both", { dim: 1, optimizer, clip: { value: 1, norm: 1 } }],
    ["bounds reversed", { dim: 1, optimizer, bounds: [1, 0] }],
    ["bounds NaN", { dim: 1, optimizer, bounds: [Number.NaN, 0] }],
    ["an unknown option", { dim: 1, optimizer, dimension: 1 }],
  ].map(
    ([what, options]): Case => [
      `table, options: ${what}`,
      ({ store }) => store.table("new", wrong(options)),
      "INVALID_OPTIONS",
      /found .*expected /,
    ],
  ),
  [
    "table, options: text, of one that exists",
    ({ store }) => store.table("t", wrong("dim")),
    "INVALID_OPTIONS",
    /expected an object/,
  ],
  [
    "table, options: unlogged with a level",
    ({ store }) => store.table("new", { dim: 1, optimizer, logged: false, ack: "os" }),
    "NOT_LOGGED",
    /"memory" only/,
  ],
  [
    "table, that is not there",
    ({ store }) => store.table("none"),
    "TABLE_NOT_FOUND",
    /"none".*"t".*options make one/,
  ],
  [
    "table, of a tensor's name",
    ({ store }) => store.table("w", { dim: 8, optimizer }),
    "TABLE_MISMATCH",
    /is a tensor.*store\.tensor/,
  ],
  ["dropTable, that is not there", ({ store }) => store.dropTable("none"), "TABLE_NOT_FOUND", /"none"/],
  ["dropTable, no name", ({ store }) => store.dropTable(wrong(undefined)), "TABLE_NOT_FOUND", /no table/],
  ["a dropped table: pull", ({ dropped }) => dropped.pull(keys), "TABLE_NOT_FOUND", /"d" has been dropped/],
  ["a dropped table: push", ({ dropped }) => dropped.push(keys, rows), "TABLE_NOT_FOUND", /dropped/],
  ["a dropped table: assign", ({ dropped }) => dropped.assign(keys, rows), "TABLE_NOT_FOUND", /dropped/],
  ["a dropped table: delete", ({ dropped }) => dropped.delete(keys), "TABLE_NOT_FOUND", /dropped/],
  ["a dropped table: contains", ({ dropped }) => dropped.contains(keys), "TABLE_NOT_FOUND", /dropped/],
  ["a dropped table: scan", ({ dropped }) => next(dropped, {}), "TABLE_NOT_FOUND", /dropped/],
  ["a dropped table: stats", ({ dropped }) => dropped.stats(), "TABLE_NOT_FOUND", /dropped/],
  [
    "a dropped table: push of several",
    ({ store, dropped }) => store.push([{ table: dropped, keys, gradients: rows }]),
    "TABLE_NOT_FOUND",
    /dropped/,
  ],
];

test("wrong tables", () => refuseAll(tableCases));

test.run();
