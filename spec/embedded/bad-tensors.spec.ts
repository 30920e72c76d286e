// Shapes, ranges and values of tensors that are none.
import { test } from "uvu";
import { type Store, sgd } from "../../lib/index.js";
import { type Case, detached, optimizer, refuseAll, wrong } from "./wrong-arguments.js";

const tensorCases: Case[] = [
  ...[
    ["none", undefined],
    ["empty", []],
    ["a number", 20],
    ["with a zero", [4, 0]],
    ["with a fraction", [1.5]],
    ["with NaN", [Number.NaN]],
    ["too great", [2 ** 30, 2 ** 30]],
  ].map(
    ([what, shape]): Case => [
      `tensor, shape: ${what}`,
      ({ store }) => store.tensor("new", wrong({ shape, optimizer })),
      "INVALID_OPTIONS",
      /found .*expected /,
    ],
  ),
  [
    "tensor, block: too great",
    ({ store }) => store.tensor("new", { shape: [5000], optimizer, block: 4097 }),
    "INVALID_OPTIONS",
    /block.*4096/,
  ],
  [
    "tensor, options: dim",
    ({ store }) => store.tensor("new", wrong({ shape: [4], optimizer, dim: 4 })),
    "INVALID_OPTIONS",
    /dim/,
  ],
  [
    "tensor, options: text",
    ({ store }) => store.tensor("new", wrong("x")),
    "INVALID_OPTIONS",
    /expected an object/,
  ],
  ["tensor, another shape", ({ store }) => store.tensor("w", { shape: [10, 2] }), "TABLE_MISMATCH", /tensor/],
  ["tensor, that is not there", ({ store }) => store.tensor("none"), "TABLE_NOT_FOUND", /"none"/],
  [
    "tensor, of a table's name",
    ({ store }) => store.tensor("t", { shape: [3] }),
    "TABLE_MISMATCH",
    /is a table.*store\.table/,
  ],
  [
    "tensor pull: reversed",
    ({ tensor }) => tensor.pull({ from: 8, to: 4 }),
    "INVALID_ARGUMENT",
    /to: found 4, expected an integer from 8/,
  ],
  ["tensor pull: beyond", ({ tensor }) => tensor.pull({ to: 21 }), "INVALID_ARGUMENT", /21/],
  ["tensor pull: a fraction", ({ tensor }) => tensor.pull({ from: 0.5 }), "INVALID_ARGUMENT", /0\.5/],
  [
    "tensor pull, into: wrong length",
    ({ tensor }) => tensor.pull({ to: 4, into: new Float32Array(5) }),
    "INVALID_ARGUMENT",
    /length 5, expected 4/,
  ],
  [
    "tensor pull, options: unknown",
    ({ tensor }) => tensor.pull(wrong({ range: 1 })),
    "INVALID_ARGUMENT",
    /range/,
  ],
  [
    "tensor push: wrong length",
    ({ tensor }) => tensor.push(new Float32Array(19)),
    "INVALID_ARGUMENT",
    /length 19, expected 20/,
  ],
  [
    "tensor push: wrong type",
    ({ tensor }) => tensor.push(wrong(new Array(20).fill(0))),
    "INVALID_ARGUMENT",
    /Float32Array/,
  ],
  [
    "tensor push: detached",
    ({ tensor }) => tensor.push(detached(new Float32Array(20))),
    "INVALID_ARGUMENT",
    /detached/,
  ],
  [
    "tensor push: not at blocks",
    ({ tensor }) => tensor.push(new Float32Array(4), { from: 4, to: 8 }),
    "UNALIGNED_RANGE",
    /multiples of the block 8.*Widen/,
  ],
  [
    "tensor push: a NaN",
    ({ tensor }) => tensor.push(new Float32Array(20).fill(Number.NaN)),
    "NON_FINITE",
    /"w"/,
  ],
  [
    "tensor push: a request not at blocks",
    ({ store, tensor }) => store.push([{ tensor, from: 1, to: 9, gradients: new Float32Array(8) }]),
    "UNALIGNED_RANGE",
    /block 8/,
  ],
  [
    "tensor assign: wrong length",
    ({ tensor }) => tensor.assign(new Float32Array(3), { to: 8 }),
    "INVALID_ARGUMENT",
    /length 3, expected 8/,
  ],
  [
    "tensor assign, options: step",
    ({ tensor }) => tensor.assign(new Float32Array(20), wrong({ step: 1 })),
    "INVALID_ARGUMENT",
    /step/,
  ],
  ["tensor: more blocks than keys", ({ store }) => tooManyBlocks(store), "TOO_LARGE", /blocks.*split/],
];

async function tooManyBlocks(store: Store): Promise<void> {
  const tensor = await store.tensor("fine", {
    shape: [5_000_000],
    optimizer: sgd({ learningRate: 1 }),
    block: 1,
  });
  try {
    await tensor.push(new Float32Array(5_000_000));
  } finally {
    await store.dropTable("fine");
  }
}

test("wrong tensors", () => refuseAll(tensorCases));

test.run();
