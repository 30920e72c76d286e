// The bytes of frames, for other languages: read, written, and the same as FlatBuffers' own accessors read.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { allTerms } from "../wire/frame-values.js";
import { readByAccessors } from "../wire/peer-accessors.js";
import { kinds } from "../wire/sample-frames.js";
import { frameOf, meaningOf } from "./frame-meaning.js";
import { goldenFrames } from "./make-frames.js";

interface Golden {
  readonly hex: string;
  readonly frame: { readonly body_type: string };
}

const text = readFileSync(new URL("../../../spec/golden/frames.jsonl", import.meta.url), "utf8");
const goldens = text
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Golden);
const bytesOf = ({ hex }: Golden) => new Uint8Array(Buffer.from(hex, "hex"));

test("there are frames of all kinds", () => {
  assert.equal(new Set(goldens.map(({ frame }) => frame.body_type)), new Set(kinds));
});

test("the bytes say what the line says", () => {
  for (const golden of goldens) {
    const frame = readFrame(bytesOf(golden), allTerms);
    assert.equal(meaningOf(frame), golden.frame);
    assert.equal(readByAccessors(bytesOf(golden)), frame);
  }
});

test("what the line says is written as these bytes", () => {
  const writer = new FrameWriter();
  for (const golden of goldens) {
    const bytes = writer.write(frameOf(golden.frame as Record<string, unknown>)).toBytes();
    assert.is(Buffer.from(bytes).toString("hex"), golden.hex, golden.frame.body_type);
  }
});

test("the file is what its script makes", () => {
  assert.ok(
    text === goldenFrames(),
    "it is stale: the protocol has changed; see make-frames.ts and UPGRADING.md",
  );
});

test.run();
