import { test } from "uvu";
import * as assert from "uvu/assert";
import { once, shown, target, verdictOf } from "../../bench/figure.js";
import { median, ratioOf } from "../../bench/race.js";
import { TARGETS } from "../../bench/targets.js";

test("a ratio is the median of the rounds' own ratios", () => {
  const { value, peer, ratio, spread } = ratioOf([10, 4, 9], [20, 16, 10]);
  assert.equal([value, peer, ratio, spread], [9, 16, 0.5, [0.25, 0.9]]);
  assert.is(median([4, 1, 3, 2]), 2.5);
});

test("figures are judged by ratio, or by value where there is no peer", () => {
  assert.is(verdictOf(target("pull-64", once(0.5, 1))), "must met");
  assert.is(verdictOf(target("pull-64", once(0.55, 1))), "goal met");
  assert.is(verdictOf(target("pull-64", once(0.44, 1))), "short");
  assert.is(verdictOf(target("pull-64", once(0.6, 1), { counts: false })), "not counted");
  assert.is(verdictOf(target("resident-64", once(1.15, 1))), "must met");
  assert.is(verdictOf(target("growth-pause", 9)), "goal met");
  assert.is(verdictOf(target("growth-pause", 20.1)), "short");
  assert.is(verdictOf(shown("beside", 1, { unit: "rows/s" })), "");
});

test("every goal is at least as strict as its must", () => {
  for (const { better, must, goal } of Object.values(TARGETS)) {
    if (goal !== null) assert.ok(better === "higher" ? goal > must : goal < must);
  }
});

test.run();
