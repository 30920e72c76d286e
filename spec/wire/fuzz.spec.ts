// 10^5 changed frames; `npm run fuzz -- --frames --cases 10000000` does more.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { type FrameOutcome, MutatedFrames } from "./mutated-frames.js";

test("changed frames are refused with a code, or read without a byte from outside", () => {
  // Most are refused, and half of the time would go into stacks. A failure is seen with its stack by its seed.
  Error.stackTraceLimit = 0;
  const frames = new MutatedFrames();
  const outcomes: Record<FrameOutcome, number> = { read: 0, BAD_FRAME: 0, PROTOCOL: 0 };
  for (let seed = 0; seed < 100_000; seed++) {
    try {
      outcomes[frames.one(new Prng(seed))]++;
    } catch (error) {
      throw new Error(`npm run fuzz -- --frames --cases 1 --seed ${seed}\n${(error as Error).message}`);
    }
  }
  // Changes reach all ways to end.
  assert.ok(
    Object.values(outcomes).every((count) => count > 2000),
    JSON.stringify(outcomes),
  );
});

test.run();
