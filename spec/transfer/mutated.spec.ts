import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { MutatedFiles } from "./mutated-files.js";

test("files with random damage are refused, or good files of other rows", async () => {
  const files = await MutatedFiles.create();
  const outcomes = { refused: 0, imported: 0 };
  for (let seed = 0; seed < 400; seed++) {
    try {
      outcomes[await files.one(new Prng(seed))]++;
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`);
    }
  }
  await files.end();
  assert.ok(outcomes.refused > 200 && outcomes.imported > 20, JSON.stringify(outcomes));
});

test.run();
