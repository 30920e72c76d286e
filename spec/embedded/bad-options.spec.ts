// Options of reads and writes, requests to several tables, and definitions that are none.
import { test } from "uvu";
import type { Store } from "../../lib/index.js";
import * as embershard from "../../lib/index.js";
import { type Case, detached, keys, next, refuseAll, rows, wrong } from "./wrong-arguments.js";

const { sgd } = embershard;

const optionCases: Case[] = [
  [
    "pull, options: null",
    ({ table }) => table.pull(keys, wrong(null)),
    "INVALID_ARGUMENT",
    /expected an object/,
  ],
  [
    "pull, options: unknown",
    ({ table }) => table.pull(keys, wrong({ inTo: rows })),
    "INVALID_ARGUMENT",
    /unknown option inTo, expected into/,
  ],
  [
    "pull, into: wrong length",
    ({ table }) => table.pull(keys, { into: new Float32Array(5) }),
    "INVALID_ARGUMENT",
    /length 5, expected 6/,
  ],
  [
    "pull, into: wrong type",
    ({ table }) => table.pull(keys, { into: wrong(new Float64Array(6)) }),
    "INVALID_ARGUMENT",
    /Float64Array/,
  ],
  [
    "pull, into: detached",
    ({ table }) => table.pull(keys, { into: detached(new Float32Array(6)) }),
    "INVALID_ARGUMENT",
    /detached/,
  ],
  [
    "pull, into: null",
    ({ table }) => table.pull(keys, { into: wrong(null) }),
    "INVALID_ARGUMENT",
    /found null/,
  ],
  [
    "pull, found: wrong length",
    ({ table }) => table.pull(keys, { found: new Uint8Array(3) }),
    "INVALID_ARGUMENT",
    /length 3, expected 2/,
  ],
  [
    "pull, found: wrong type",
    ({ table }) => table.pull(keys, { found: wrong(new Int8Array(2)) }),
    "INVALID_ARGUMENT",
    /Int8Array/,
  ],
  [
    "pull, state: wrong length",
    ({ table }) => table.pull(keys, { state: new Float32Array(5) }),
    "INVALID_ARGUMENT",
    /expected 6/,
  ],
  [
    "pull, default: text",
    ({ table }) => table.pull(keys, { default: wrong("0") }),
    "INVALID_ARGUMENT",
    /default "0", expected a number/,
  ],
  [
    "pull, create: text",
    ({ table }) => table.pull(keys, { create: wrong("no") }),
    "INVALID_ARGUMENT",
    /create "no", expected/,
  ],
  [
    "push, options: text",
    ({ table }) => table.push(keys, rows, wrong("fsync")),
    "INVALID_ARGUMENT",
    /expected an object/,
  ],
  [
    "push, options: unknown",
    ({ table }) => table.push(keys, rows, wrong({ lr: 1 })),
    "INVALID_ARGUMENT",
    /unknown option lr/,
  ],
  [
    "push, ack: unknown",
    ({ table }) => table.push(keys, rows, { ack: wrong("disk") }),
    "INVALID_ARGUMENT",
    /"disk", expected "memory"/,
  ],
  [
    "push, ack: of an unlogged table",
    ({ unlogged }) => unlogged.push(keys, rows, { ack: "fsync" }),
    "NOT_LOGGED",
    /use "memory"/,
  ],
  [
    "push, step: negative",
    ({ table }) => table.push(keys, rows, { step: -1 }),
    "INVALID_ARGUMENT",
    /step -1, expected an integer from 0/,
  ],
  [
    "push, step: a fraction",
    ({ table }) => table.push(keys, rows, { step: 1.5 }),
    "INVALID_ARGUMENT",
    /1\.5/,
  ],
  [
    "push, step: too great",
    ({ table }) => table.push(keys, rows, { step: 2 ** 32 }),
    "INVALID_ARGUMENT",
    /4294967295/,
  ],
  [
    "push, step: a BigInt",
    ({ table }) => table.push(keys, rows, { step: wrong(1n) }),
    "INVALID_ARGUMENT",
    /expected an integer/,
  ],
  ["push, step: missing", ({ counting }) => counting.push(keys, rows), "INVALID_ARGUMENT", /give step/],
  [
    "push, learning rate: 0",
    ({ table }) => table.push(keys, rows, { learningRate: 0 }),
    "INVALID_OPTIONS",
    /learningRate 0, expected/,
  ],
  [
    "push, learning rate: NaN",
    ({ table }) => table.push(keys, rows, { learningRate: Number.NaN }),
    "INVALID_OPTIONS",
    /NaN/,
  ],
  [
    "push, learning rate: text",
    ({ table }) => table.push(keys, rows, { learningRate: wrong("1") }),
    "INVALID_OPTIONS",
    /"1"/,
  ],
  [
    "push, mark: text",
    ({ table }) => table.push(keys, rows, { mark: wrong("here") }),
    "INVALID_ARGUMENT",
    /mark: found "here", expected a Uint8Array/,
  ],
  [
    "push, mark: too long",
    ({ table }) => table.push(keys, rows, { mark: new Uint8Array(4097) }),
    "TOO_LARGE",
    /4097 bytes, the limit is 4096/,
  ],
  [
    "push, mark: detached",
    ({ table }) => table.push(keys, rows, { mark: detached(new Uint8Array(4)) }),
    "INVALID_ARGUMENT",
    /detached/,
  ],
  ["push: too many bytes", ({ store }) => tooManyBytes(store), "TOO_LARGE", /split/],
  [
    "assign, state: wrong length",
    ({ table }) => table.assign(keys, rows, { state: new Float32Array(5) }),
    "INVALID_ARGUMENT",
    /expected 6/,
  ],
  [
    "assign, state: a NaN",
    ({ table }) => table.assign(keys, rows, { state: rows.map(() => Number.NaN) }),
    "NON_FINITE",
    /state of key 1/,
  ],
  [
    "assign, options: unknown",
    ({ table }) => table.assign(keys, rows, wrong({ step: 1 })),
    "INVALID_ARGUMENT",
    /unknown option step/,
  ],
  [
    "delete, options: unknown",
    ({ table }) => table.delete(keys, wrong({ step: 1 })),
    "INVALID_ARGUMENT",
    /unknown option step/,
  ],
  [
    "scan, batch: 0",
    ({ table }) => next(table, { batch: 0 }),
    "INVALID_ARGUMENT",
    /batch: found 0, expected an integer from 1/,
  ],
  [
    "scan, lent: a number",
    ({ table }) => next(table, { lent: 1 }),
    "INVALID_ARGUMENT",
    /found lent 1, expected true or false/,
  ],
  ["scan, batch: too great", ({ table }) => next(table, { batch: 65_537 }), "INVALID_ARGUMENT", /65536/],
  [
    "scan, options: unknown",
    ({ table }) => next(table, { size: 5 }),
    "INVALID_ARGUMENT",
    /unknown option size/,
  ],
];

async function tooManyBytes(store: Store): Promise<void> {
  const options = { dim: 4096, optimizer: sgd({ learningRate: 1 }) };
  const tables = [await store.table("wide", options), await store.table("wider", options)];
  try {
    const many = new BigUint64Array(9000);
    const gradients = new Float32Array(9000 * 4096);
    await store.push(tables.map((table) => ({ table, keys: many, gradients })));
  } finally {
    for (const { name } of tables) await store.dropTable(name);
  }
}

const storeCases: Case[] = [
  [
    "pull: no array",
    ({ store }) => store.pull(wrong({})),
    "INVALID_ARGUMENT",
    /expected an array of requests/,
  ],
  [
    "pull: a request that is none",
    ({ store }) => store.pull([wrong(null)]),
    "INVALID_ARGUMENT",
    /expected an array of requests/,
  ],
  [
    "pull: no table",
    ({ store }) => store.pull([wrong({ keys })]),
    "INVALID_ARGUMENT",
    /expected one that store\.table gave/,
  ],
  [
    "pull: a name for a table",
    ({ store }) => store.pull([wrong({ table: "t", keys })]),
    "INVALID_ARGUMENT",
    /table "t", expected/,
  ],
  [
    "pull: unknown field",
    ({ store, table }) => store.pull([wrong({ table, keys, key: 1 })]),
    "INVALID_ARGUMENT",
    /unknown option key/,
  ],
  [
    "pull: a table of another store",
    ({ store, foreign }) => store.pull([{ table: foreign, keys }]),
    "INVALID_ARGUMENT",
    /another store/,
  ],
  [
    "push: a table of another store",
    ({ store, foreign }) => store.push([{ table: foreign, keys, gradients: rows }]),
    "INVALID_ARGUMENT",
    /another store/,
  ],
  [
    "push: a tensor of another store",
    ({ store, foreignTensor }) => store.push([{ tensor: foreignTensor, gradients: new Float32Array(20) }]),
    "INVALID_ARGUMENT",
    /another store/,
  ],
  [
    "push: a tensor that is none",
    ({ store }) => store.push([{ tensor: wrong("w"), gradients: new Float32Array(20) }]),
    "INVALID_ARGUMENT",
    /tensor/,
  ],
  ["push: no array", ({ store }) => store.push(wrong("x")), "INVALID_ARGUMENT", /expected an array/],
  [
    "push: unknown field",
    ({ store, table }) => store.push([wrong({ table, keys, gradients: rows, step: 1 })]),
    "INVALID_ARGUMENT",
    /unknown option step/,
  ],
  [
    "push: one table twice",
    ({ store, table }) => store.push([1, 2].map(() => ({ table, keys, gradients: rows }))),
    "INVALID_ARGUMENT",
    /"t" twice.*join/,
  ],
  [
    "push: options",
    ({ store }) => store.push([], wrong({ learningRate: 1 })),
    "INVALID_ARGUMENT",
    /unknown option learningRate/,
  ],
  [
    "push: an unlogged table among them",
    ({ store, table, unlogged }) =>
      store.push(
        [table, unlogged].map((one) => ({ table: one, keys, gradients: rows })),
        { ack: "os" },
      ),
    "NOT_LOGGED",
    /"u"/,
  ],
  [
    "push: a NaN in the second table",
    ({ store, table, unlogged }) =>
      store.push([
        { table, keys, gradients: rows.map(() => 1) },
        { table: unlogged, keys, gradients: rows.map(() => Number.NaN) },
      ]),
    "NON_FINITE",
    /table "u": .*key 1/,
  ],
  [
    "checkpoint, options: unknown",
    ({ store }) => store.checkpoint(wrong({ abort: 1 })),
    "INVALID_ARGUMENT",
    /unknown option abort/,
  ],
  [
    "checkpoint, signal: none",
    ({ store }) => store.checkpoint({ signal: wrong({ aborted: true }) }),
    "INVALID_ARGUMENT",
    /expected an AbortSignal/,
  ],
  [
    "checkpoint, onProgress: none",
    ({ store }) => store.checkpoint({ onProgress: wrong(5) }),
    "INVALID_ARGUMENT",
    /onProgress 5, expected a function/,
  ],
  [
    "checkpoint: aborted before",
    ({ store }) => store.checkpoint({ signal: AbortSignal.abort() }),
    "ABORTED",
    /stands/,
  ],
];

const factoryCases: Case[] = [
  ["adagrad: nothing", () => embershard.adagrad(wrong(undefined)), "INVALID_OPTIONS", /expected an object/],
  ["adagrad: no rate", () => embershard.adagrad(wrong({})), "INVALID_OPTIONS", /learningRate/],
  [
    "sgd: unknown",
    () => embershard.sgd(wrong({ learningRate: 1, lr: 1 })),
    "INVALID_OPTIONS",
    /unknown option "lr"/,
  ],
  ["adam: beta 1", () => embershard.adam({ learningRate: 1, beta1: 1 }), "INVALID_OPTIONS", /beta1 1/],
  ["uniform: NaN", () => embershard.uniform(Number.NaN, 1), "INVALID_OPTIONS", /NaN/],
  ["normal: negative", () => embershard.normal(0, -1), "INVALID_OPTIONS", /-1/],
  ["constant: infinite", () => embershard.constant(1 / 0), "INVALID_OPTIONS", /Infinity/],
];

test("wrong options", () => refuseAll(optionCases));

test("wrong requests to several tables", () => refuseAll(storeCases));

test("wrong definitions", () => refuseAll(factoryCases));

test.run();
