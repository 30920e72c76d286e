import { suite } from "uvu";
import * as assert from "uvu/assert";
import { progressDisplay } from "../../examples/movielens/progress.js";

const test = suite("movielens progress");

function record(isTTY: boolean) {
  let text = "";
  let nowMs = 0;
  const write = (part: string) => {
    text += part;
  };
  const output = { isTTY, columns: 56, write };
  const display = progressDisplay(output, 10, () => nowMs);
  const at = (ms: number) => {
    nowMs = ms;
  };
  const taken = () => {
    const before = text;
    text = "";
    return before;
  };
  return { display, taken, at };
}

const progress = (epoch: number, batch: number, rows: number) => ({
  position: { run: "", epoch, batch, squaredError: 0, curve: [] },
  batches: 50,
  loss: 0.98765,
  rows,
});

test("elsewhere than on a terminal: a line per epoch, no control characters", () => {
  const { display, taken, at } = record(false);
  display.start(progress(0, 0, 0));
  at(1000);
  display.step(progress(0, 25, 1_500_000));
  assert.is(taken(), "");
  display.epoch({ epoch: 1, trainingRmse: 1.23456, heldOutRmse: 1 });
  assert.is(taken(), "epoch  1/10  training RMSE 1.2346  held out 1.0000  1.50 M rows/s\n");
  display.end();
  assert.is(taken(), "");
});

test("on a terminal: a bar with loss and rate, drawn at most ten times a second, never wider than the terminal", () => {
  const { display, taken, at } = record(true);
  display.start(progress(0, 0, 0));
  at(500);
  display.step(progress(5, 0, 4_000));
  const drawn = taken();
  assert.ok(drawn.startsWith("\r██████████░░░░░░░░░░  50 %  epoch 6/10  loss 0.9877"), drawn);
  assert.is(drawn.length, "\r".length + 55 + "\x1b[K".length);
  at(550);
  display.step(progress(5, 1, 5_000));
  assert.is(taken(), "");
  at(600);
  display.step(progress(5, 2, 6_000));
  assert.not.equal(taken(), "");
  display.epoch({ epoch: 6, trainingRmse: 1, heldOutRmse: 1 });
  assert.ok(taken().startsWith("\r\x1b[Kepoch  6/10  training"));
  display.end();
  assert.is(taken(), "\r\x1b[K");
});

test.run();
