// The simulator itself: it repeats, everything happens in it, and it notices bugs that are planted.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { acknowledgesEarly, type Bug, doesNotStandStill, forgetsSequences, servesOldEpochs } from "./bugs.js";
import { reportOf, traceOf } from "./lives.js";
import { simulate } from "./simulation.js";
import type { WorldOptions } from "./world.js";

test("a seed tells the same story each time, traced or not, and another seed another one", async () => {
  for (const seed of [3, 4, 5]) {
    const [first, second] = [await traceOf({ seed }), await traceOf({ seed })];
    assert.ok(first.length > 100);
    assert.is(second.join("\n"), first.join("\n"));
    const lines: string[] = [];
    const traced = await simulate({ seed, trace: (line) => lines.push(line) });
    const untraced = await simulate({ seed });
    assert.equal(untraced, traced);
  }
  assert.is.not((await traceOf({ seed: 6 })).join("\n"), (await traceOf({ seed: 7 })).join("\n"));
});

/** Tells stories until one fails. Returns its seed and what is wrong in it. */
async function noticed(
  bug: Bug,
  manyVersions: boolean,
  seeds: number,
): Promise<{ told: WorldOptions; message: string }> {
  for (let seed = 0; seed < seeds; seed++) {
    const told = { seed, bug, manyVersions };
    const { violation } = await simulate(told);
    if (violation) return { told, message: violation.message };
  }
  return assert.unreachable(`${seeds} stories, and nothing was noticed`) as never;
}

const bugs: readonly [string, Bug, RegExp][] = [
  [
    "sequences are forgotten",
    forgetsSequences,
    /does \w+\.\d+ #\d+ to .*; what it had not been done to is|is of session \d+, in force is \d+/,
  ],
  [
    "writes are acknowledged before the log has them",
    acknowledgesEarly,
    /after a kill it has \d+ records, \d+ of|no table has the id/,
  ],
  [
    "parts of a version are of different instants",
    doesNotStandStill,
    /the parts of version \w+ are of no one instant|does not read as any|is made, and is not whole/,
  ],
  ["an old epoch is served", servesOldEpochs, /it was planned with epoch \d+, and epoch \d+ was in force/],
];
for (const [what, bug, words] of bugs)
  test(`it is noticed when ${what}, and replays exactly`, async () => {
    const { told, message } = await noticed(bug, bug === doesNotStandStill, 100);
    assert.match(message, words);
    const again = await simulate(told);
    assert.is(again.violation?.message, message);
    const report = await reportOf(told, again.violation!);
    assert.ok(
      report.includes(message) && report.includes("VIOLATION") && report.includes(`--seed ${told.seed}`),
    );
    assert.is(
      (await simulate({ ...told, bug: undefined })).violation,
      undefined,
      "without the bug it is well",
    );
  });

test("everything happens that may", async () => {
  const counts = new Map<string, number>();
  for (let seed = 1000; seed < 1040; seed++) {
    const outcome = await simulate({ seed });
    if (outcome.violation) assert.unreachable(await reportOf({ seed }, outcome.violation));
    for (const [what, count] of outcome.counts) counts.set(what, count + (counts.get(what) ?? 0));
  }
  for (const what of expected) assert.ok(counts.has(what), `it never happens that ${what}`);
});

const expected = [
  "a node is killed",
  "power is lost",
  "a node stops",
  "a shard breaks",
  "a disk is slow",
  "a disk fails",
  "a black hole",
  "connections are cut",
  "a new slot map",
  "a worker is killed",
  "a worker is fenced",
  "a clock jumps",
  "a write comes again",
  "a kill loses records",
  "a power loses records",
  "a version is made",
  "a version is read",
  "a cluster is rolled back",
  "a shard refuses with STALE_EPOCH",
  "a shard refuses with READ_ONLY",
  "a shard refuses with FENCED",
  "a call fails with FENCED",
  "a call fails with DEADLINE",
];

test.run();
