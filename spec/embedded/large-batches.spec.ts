// Batches beyond the memory in which batches usually lie, beyond the log's buffer, and rows of the greatest width.
import { test } from "uvu";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, sgd } from "../../lib/index.js";
import { randomFloats, randomKeys, Twin } from "../laws/twin.js";
import { openTemporary } from "./opened.js";

test("a batch larger than the scratch of 16 MiB", async () => {
  const { store, reopen, end } = await openTemporary({ checkpoint: false });
  const twin = await Twin.open(store, "t", { dim: 16, optimizer: sgd({ learningRate: 0.5 }) });
  const random = new Prng(7);
  const n = 200_000;
  const keys = randomKeys(random, n, 5000);
  await twin.push(keys, randomFloats(random, n * 16));
  await twin.assign(keys, randomFloats(random, n * 16));
  await twin.compare(keys);
  await twin.delete(keys.subarray(0, 300));
  await twin.compareAll();
  twin.table = await (await reopen()).table("t");
  await twin.compareAll();
  await end();
});

test("rows of 4,096 floats, 64 MiB at once, with a log buffer of 64 KiB", async () => {
  const { store, reopen, end } = await openTemporary({ checkpoint: false, logBufferBytes: 1 << 16 });
  const twin = await Twin.open(store, "t", { dim: 4096, optimizer: adagrad({ learningRate: 0.5 }) });
  const random = new Prng(8);
  const keys = randomKeys(random, 4096, 1500);
  await twin.push(keys, randomFloats(random, 4096 * 4096));
  await twin.compare(keys.subarray(0, 50));
  twin.table = await (await reopen()).table("t");
  await twin.compareAll();
  await end();
});

test.run();
