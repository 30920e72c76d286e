// Frames with random changes are read: refused with a code, or read without a byte from outside of them.
import { Prng } from "../../lib/base/prng.js";
import { type FrameOutcome, MutatedFrames } from "../wire/mutated-frames.js";

/** Changes and reads frames, one for each seed from `seed` on. The first that fails ends the process. */
export function fuzzFrames({ cases, seed, json }: { cases: number; seed: number; json: boolean }): void {
  const outcomes: Record<FrameOutcome, number> = { read: 0, BAD_FRAME: 0, PROTOCOL: 0 };
  const frames = new MutatedFrames();
  const shown = process.stderr.isTTY && !json;
  let mostBytes = 0;
  // Most are refused, and half of the time would go into stacks.
  if (cases > 1) Error.stackTraceLimit = 0;
  for (let i = 0; i < cases; i++) {
    try {
      outcomes[frames.one(new Prng(seed + i))]++;
    } catch (error) {
      const { message } = error as Error;
      if (json) console.log(JSON.stringify({ seed: seed + i, failure: message }));
      else console.error(`\n${message}\nagain: npm run fuzz -- --frames --cases 1 --seed ${seed + i}`);
      process.exit(1);
    }
    if (i % 65536 === 0) {
      mostBytes = Math.max(mostBytes, process.memoryUsage().rss);
      if (shown) process.stderr.write(`\r${i + 1} of ${cases}\x1b[K`);
    }
  }
  if (shown) process.stderr.write("\n");
  const { read, BAD_FRAME, PROTOCOL } = outcomes;
  if (json) console.log(JSON.stringify({ seed, cases, ...outcomes, mostBytes }));
  else
    console.log(
      `seed ${seed}: ${cases} changed frames: ${BAD_FRAME} refused as no frames, ${PROTOCOL} as not agreed on, ${read} read, 0 wrong; ${Math.round(mostBytes / 2 ** 20)} MiB at most`,
    );
}
