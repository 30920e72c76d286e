// What a closed store leaves to the process that had it open.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemCalls } from "../../lib/base/system-calls.js";
import { sgd } from "../../lib/index.js";
import { openTemporary } from "./opened.js";

const dim = 256;
const rows = 40_000;

test("a store that is closed gives its memory back, whoever still refers to it", async () => {
  if (!systemCalls()) return;
  const { store, end } = await openTemporary({ checkpoint: false });
  const table = await store.table("t", { dim, optimizer: sgd({ learningRate: 0.1 }), logged: false });
  for (let from = 0; from < rows; from += 1000) {
    const keys = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(from + i));
    await table.assign(keys, new Float32Array(1000 * dim).fill(1));
  }
  const before = process.memoryUsage.rss();
  await end();
  const released = before - process.memoryUsage.rss();
  assert.ok(released >= 0.7 * 4 * rows * dim, `${released} of ${4 * rows * dim} bytes`);
  const refused = await table.pull(BigUint64Array.of(1n)).then(
    () => undefined,
    (error) => error.code,
  );
  assert.is(refused, "CLOSED");
});

test.run();
