// What is written is what is read: by our reader and by FlatBuffers' own accessors. What FlatBuffers' own compiler writes is read.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { bodies, tables } from "../../lib/wire/generated/schema-tables.js";
import { allTerms, withDefaults } from "./frame-values.js";
import { readByAccessors } from "./peer-accessors.js";
import { frameCompiler } from "./peer-compiler.js";
import { kinds, sampleFrame } from "./sample-frames.js";

test("the samples are of all kinds", () => {
  assert.equal(
    kinds,
    bodies.slice(1).map((index) => tables[index].name),
  );
});

for (const kind of kinds) {
  test(`${kind}: read as it was written`, () => {
    const writer = new FrameWriter();
    for (let seed = 0; seed < 50; seed++) {
      const frame = sampleFrame(kind, new Prng(seed));
      const message = writer.write(frame).toBytes();
      // What the frame before left in the writer's memory is not in it.
      assert.equal(new FrameWriter().write(frame).toBytes(), message, `seed ${seed}`);
      assert.equal(readFrame(message, allTerms), withDefaults(frame), `seed ${seed}`);
      assert.equal(readByAccessors(message), withDefaults(frame), `seed ${seed}, by FlatBuffers' accessors`);
    }
  });
}

test("what FlatBuffers' own compiler writes is read", async () => {
  const compile = await frameCompiler();
  for (const kind of kinds) {
    for (let seed = 0; seed < 4; seed++) {
      const frame = sampleFrame(kind, new Prng(seed));
      assert.equal(readFrame(compile(frame), allTerms), withDefaults(frame), `${kind}, seed ${seed}`);
    }
  }
});

test.run();
