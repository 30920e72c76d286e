// Candidates move with the rows of their slots, whether they are counted one by one or in a sketch.
import { test } from "uvu";
import { grow } from "./growing.js";

const seed = Number(process.env.EMBERSHARD_SEED ?? 5);
const counter = { sketchBytes: 2 << 20 };

for (const logged of [true, false]) {
  const what = logged ? "logged" : "unlogged";
  test(`a ${what} table that admits by exact counters grows into a second arena`, () =>
    grow({ seed, logged, arenas: 2, admission: { after: 2 } }));
  test(`a ${what} table that admits by a sketch grows into a second arena`, () =>
    grow({ seed, logged, arenas: 2, admission: { after: 2, counter } }));
}

test.run();
