// What docs/admission.md says of sketches' errors is measured again.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { sgd } from "../../lib/index.js";
import { openTemporary } from "../embedded/opened.js";
import { ROOT } from "./documents.js";
import { admitStream, zipfStream } from "./sketch-errors.js";

const text = readFileSync(join(ROOT, "docs", "admission.md"), "utf8");
const batches = 244;

test("the table of bytes and early admissions is what comes out", async () => {
  const stream = zipfStream(batches);
  assert.match(text, `${stream.keys.length.toLocaleString("en")} distinct keys`);
  const { store, end } = await openTemporary({ checkpoint: false });
  const rows = [...text.matchAll(/^\| (\d+) MiB \| ([\d.]+) \| ([\d.]+) % \| ([\d.]+) % \|$/gm)];
  assert.ok(rows.length >= 5);
  // Each row in its turn would take long; the ends and one between stand for all.
  for (const [, mebibytes, bytesEach, ...shares] of [rows[0], rows[2], rows[rows.length - 1]]) {
    for (const [i, after] of [2, 5].entries()) {
      const counter = { sketchBytes: Number(mebibytes) << 20 };
      const { early, late, seldom, bytes } = await admitStream(store, stream, after, counter);
      await store.checkpoint();
      assert.is(late, 0, "no key is late");
      assert.is(((100 * early) / seldom).toFixed(3), shares[i], `${mebibytes} MiB, after ${after}`);
      assert.is((bytes / stream.keys.length).toFixed(1), bytesEach);
    }
  }
  const exact = await admitStream(store, stream, 5, "exact");
  assert.equal([exact.early, exact.late], [0, 0]);
  assert.match(text, `to ${(exact.bytes / stream.keys.length).toFixed(1)} |`);
  await end();
});

test("the probability that a new key is misled is the one of the formula", async () => {
  const { store, end } = await openTemporary({ checkpoint: false });
  const counter = { sketchBytes: 2 << 20 };
  const random = new Prng(1);
  const keys = (n: number) =>
    BigUint64Array.from({ length: n }, () => (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
  for (const bytesEach of [4, 8]) {
    const table = await store.table("t", {
      dim: 1,
      optimizer: sgd({ learningRate: 1 }),
      // Nothing is admitted, so that all that comes is counted.
      admission: { after: 250, counter },
      logged: false,
    });
    const n = 2 ** 20 / bytesEach;
    await table.push(keys(n), new Float32Array(n));
    const others = await table.occurrences(keys(100_000));
    const misled = others.filter((count) => count > 0).length / 100_000;
    const expected = misleading(64 / bytesEach);
    assert.match(text, `${expected.toFixed(bytesEach === 4 ? 2 : 3)} for ${bytesEach}`);
    assert.ok(Math.abs(misled / expected - 1) < 0.05, `${misled}, expected ${expected}`);
    await store.dropTable("t");
    await store.checkpoint();
  }
  await end();
});

/** E[(1 - (15/16)^k)^4], k Poisson distributed. */
function misleading(mean: number): number {
  let [sum, chance] = [0, Math.exp(-mean)];
  for (let k = 0; k < 500; k++) {
    sum += chance * (1 - (15 / 16) ** k) ** 4;
    chance *= mean / (k + 1);
  }
  return sum;
}

test.run();
