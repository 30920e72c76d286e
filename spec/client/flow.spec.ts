// A client asks no more at once than its node allows: calls wait instead of being refused.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad } from "../../lib/index.js";
import { ServedCluster } from "./served-cluster.js";

const test = suite("flow");

test("any number of calls at once, and none is refused", async () => {
  const cluster = await ServedCluster.open(2, {}, { frameBytes: 1 << 20, connectionBytes: 2 << 20 });
  const store = await cluster.connect();
  const dim = 64;
  const items = await store.table("items", { dim, optimizer: adagrad({ learningRate: 0.1 }), ack: "os" });
  const keys = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(i));
  const pushes = Array.from({ length: 60 }, () =>
    items.push(keys, new Float32Array(keys.length * dim).fill(1)),
  );
  await Promise.all(pushes);
  assert.ok((await items.occurrences(keys)).every((count) => count === 60));
  const pulls = await Promise.all(Array.from({ length: 60 }, () => items.pull(keys)));
  for (const rows of pulls) assert.is(Buffer.compare(bytesOf(rows), bytesOf(pulls[0])), 0);
  for (const service of cluster.services) assert.equal(service.counts.refused, {});
  await store.close();
  await cluster.stop();
  assert.equal(cluster.failures, []);
});

function bytesOf(rows: Float32Array): Uint8Array {
  return new Uint8Array(rows.buffer, rows.byteOffset, rows.byteLength);
}

test.run();
