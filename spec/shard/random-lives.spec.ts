// Random operations on several tables, with checkpoints, aborted ones, closings and kills, against the oracle: bit for bit.
import fc from "fast-check";
import { test } from "uvu";
import { type Action, RandomLife } from "./random-life.js";

const runs = Number(process.env.EMBERSHARD_RUNS ?? 40);

/** Ends a search for a smaller example, too. */
const limitMs = 1000 * Number(process.env.EMBERSHARD_SECONDS ?? 40);

const table = fc.nat({ max: 2 });
const seed = fc.nat();
const wait = fc.boolean();
const n = fc.oneof(
  { weight: 1, arbitrary: fc.constant(0) },
  { weight: 20, arbitrary: fc.integer({ min: 1, max: 150 }) },
);

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("push" as const), table, n, seed, wait }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("assign" as const), table, n, seed, wait }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("delete" as const), table, n, seed, wait }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("create" as const), table, n, seed, wait }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("pushAll" as const), n, seed, wait }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("prefetch" as const), table, n, seed }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("read" as const), table, n, seed }) },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("checkpoint" as const),
      wait,
      abort: fc.oneof(
        { weight: 3, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 6 }) },
      ),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("version" as const),
      wait,
      abort: fc.oneof(
        { weight: 4, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 8 }) },
      ),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("openVersion" as const), which: fc.nat() }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("deleteVersion" as const), which: fc.nat() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("rollback" as const),
      which: fc.nat(),
      cut: fc.oneof(
        { weight: 2, arbitrary: fc.constant(0) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 40 }) },
      ),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant("drop" as const), table, dim: fc.integer({ min: 1, max: 40 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant("turns" as const), n: fc.integer({ min: 1, max: 8 }) }),
  },
  { weight: 1, arbitrary: fc.constant({ do: "reopen" as const }) },
  { weight: 1, arbitrary: fc.constant({ do: "kill" as const }) },
);

const options = fc.record({
  seed: fc.nat(),
  segmentBytes: fc.constantFrom(1 << 16, 1 << 20),
  logBufferBytes: fc.constantFrom(1 << 16, 1 << 20),
  keys: fc.constantFrom(20, 400, 1_000_000),
  hotRows: fc.constantFrom(undefined, 1, 12, 150),
  dims: fc.tuple(
    fc.integer({ min: 1, max: 20 }),
    fc.integer({ min: -600, max: -1 }),
    fc.integer({ min: 300, max: 1000 }),
  ),
});

test("a store lives as its oracle, through checkpoints, closings and kills", async () => {
  await fc.assert(
    fc.asyncProperty(options, fc.array(action, { maxLength: 40, size: "max" }), async (options, actions) => {
      const life = new RandomLife(options);
      await life.begin();
      for (const one of actions) await life.act(one);
      await life.end();
    }),
    {
      numRuns: runs,
      includeErrorInReport: true,
      interruptAfterTimeLimit: limitMs,
      markInterruptAsFailure: false,
      // The same lives every time; others, and more, when asked for.
      seed: Number(process.env.EMBERSHARD_SEED ?? 1),
    },
  );
});

test.run();
