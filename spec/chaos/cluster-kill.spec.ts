import { test } from "uvu";
import * as assert from "uvu/assert";
import { runClusterRounds } from "./cluster-rounds.js";

test("10 kills of nodes and workers under load: every acknowledged push once, rows equal to the oracle's, versions of one instant", async () => {
  const tally = await runClusterRounds(10, Number(process.env.SEED ?? 4), () => {});
  assert.is(tally.rounds, 10);
  assert.ok(tally.nodeKills > 3 && tally.workerKills > 1, JSON.stringify(tally));
  assert.ok(tally.pushes > 60, JSON.stringify(tally));
  assert.ok(tally.versions > 0, JSON.stringify(tally));
});

test.run();
