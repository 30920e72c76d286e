// Timers of the system's clocks, longer than setTimeout takes them, too: a frame's deadline has 32 bits.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemClock, wakefulClock } from "../../lib/base/clock.js";

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

for (const [name, clock] of Object.entries({ systemClock, wakefulClock })) {
  test(`${name}: a timer of more than 2^31 ms does not go off at once`, async () => {
    const fired: number[] = [];
    const cancels = [0, 20, 2 ** 31, 2 ** 32 - 1, Number.POSITIVE_INFINITY].map((ms) =>
      clock.after(ms, () => fired.push(ms)),
    );
    await pause(60);
    for (const cancel of cancels) cancel();
    assert.equal(fired, [0, 20]);
  });

  test(`${name}: it goes off when all of it has passed, once`, () => {
    const real = globalThis.setTimeout;
    const waits: number[] = [];
    const due: (() => void)[] = [];
    // Instead of waiting: what it would do then.
    const fake = (callback: (...args: unknown[]) => void, ms: number, ...args: unknown[]) => {
      waits.push(ms);
      due.push(() => callback(...args));
      return real(() => {}, 0);
    };
    globalThis.setTimeout = fake as unknown as typeof setTimeout;
    try {
      let fired = 0;
      clock.after(2 ** 32 - 1, () => fired++);
      for (let next = due.shift(); next; next = due.shift()) {
        assert.is(fired, 0);
        next();
      }
      assert.is(fired, 1);
      assert.equal(waits, [2 ** 31 - 1, 2 ** 31 - 1, 1]);
    } finally {
      globalThis.setTimeout = real;
    }
  });
}

test.run();
