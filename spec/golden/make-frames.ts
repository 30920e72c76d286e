// Makes spec/golden/frames.jsonl anew: `npm run build && node dist/spec/golden/make-frames.js`. Only where the protocol has changed.
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { Prng } from "../../lib/base/prng.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { withDefaults } from "../wire/frame-values.js";
import { kinds, sampleFrame } from "../wire/sample-frames.js";
import { meaningOf } from "./frame-meaning.js";

/** Samples of each kind. */
const seeds = [1, 2, 3];

/** The file's text: for each frame a line of its bytes, as hexadecimal digits, and what they mean. */
export function goldenFrames(): string {
  const writer = new FrameWriter();
  const lines = new Set<string>();
  for (const kind of kinds) {
    for (const seed of seeds) {
      const frame = sampleFrame(kind, new Prng(seed));
      const hex = Buffer.from(writer.write(frame).toBytes()).toString("hex");
      lines.add(JSON.stringify({ hex, frame: meaningOf(withDefaults(frame)) }));
    }
  }
  return `${[...lines].join("\n")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  writeFileSync(new URL("../../../spec/golden/frames.jsonl", import.meta.url), goldenFrames());
