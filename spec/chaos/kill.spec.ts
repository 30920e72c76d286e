import { test } from "uvu";
import * as assert from "uvu/assert";
import { runRounds } from "./rounds.js";

test("14 kills of real processes: nothing acknowledged is lost, nothing comes twice, every bit is right", async () => {
  const tally = await runRounds(14, Number(process.env.SEED ?? 2026), () => {});
  assert.is(tally.rounds, 14);
  assert.ok(tally.operations > 100, "the children have worked");
  assert.ok(tally.versions > 5, "versions were compared");
});

test("7 kills of processes whose tables are larger than their memory", async () => {
  const tally = await runRounds(7, 2027, () => {});
  assert.is(tally.rounds, 7);
  assert.ok(tally.operations > 50, "the children have worked");
});

test.run();
