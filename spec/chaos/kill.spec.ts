import { test } from "uvu";
import * as assert from "uvu/assert";
import { runRounds } from "./rounds.js";

test("25 kills of real processes: nothing acknowledged is lost, nothing comes twice, every bit is right", async () => {
  const tally = await runRounds(25, Number(process.env.SEED ?? 2026), () => {});
  assert.is(tally.rounds, 25);
  assert.ok(tally.operations > 100, "the children have worked");
  assert.ok(tally.versions > 5, "versions were compared");
});

test("10 kills of processes whose tables are larger than their memory", async () => {
  const tally = await runRounds(10, 2027, () => {});
  assert.is(tally.rounds, 10);
  assert.ok(tally.operations > 100, "the children have worked");
});

test.run();
