// Keys chosen so that their hashes share all the bits by which an index splits: it must hold them all the same.
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { hashName } from "../../lib/api/keys.js";
import { adagrad, openStore, uniform } from "../../lib/index.js";

const mask = (1n << 64n) - 1n;
const primes = [
  0x9e3779b185ebca87n,
  0xc2b2ae3d27d4eb4fn,
  0x165667b19e3779f9n,
  0x85ebca77c2b2ae63n,
  0x27d4eb2f165667c5n,
] as const;

function inverse(odd: bigint): bigint {
  let x = odd;
  for (let i = 0; i < 6; i++) x = (x * (2n - odd * x)) & mask;
  return x;
}
const rotateRight = (x: bigint, by: bigint) => ((x >> by) | (x << (64n - by))) & mask;

function unshift(x: bigint, by: bigint): bigint {
  let result = x;
  for (let i = by; i < 64n; i += by) result = x ^ (result >> by);
  return result & mask;
}

/** The u64 whose XXH64 under `seed` is `hash`. */
function keyOfHash(hash: bigint, seed: bigint): bigint {
  const [p1, p2, p3, p4, p5] = primes;
  let h = unshift(hash, 32n);
  h = unshift((h * inverse(p3)) & mask, 29n);
  h = unshift((h * inverse(p2)) & mask, 33n);
  h = rotateRight((((h - p4) & mask) * inverse(p1)) & mask, 27n) ^ ((seed + p5 + 8n) & mask);
  return (rotateRight((h * inverse(p1)) & mask, 31n) * inverse(p2)) & mask;
}

const test = suite("crowded index");

test("40,000 keys of one segment are kept, found, deleted and recovered", async () => {
  const directory = await mkdtemp(join(tmpdir(), "embershard-crowded-"));
  const options = { control: false, checkpoint: false } as const;
  let store = await openStore(directory, options);
  const settings = { dim: 1, optimizer: adagrad({ learningRate: 0.1 }), initializer: uniform(-1, 1) };
  let table = await store.table("crowded", settings);
  const seed = hashName("crowded", 1n);
  // Bits 20 to 34 of the hash choose the segment.
  const n = 40_000;
  const keys = BigUint64Array.from({ length: n }, (_, i) =>
    keyOfHash((BigInt(i * 40_503) & 0xfffffn) | (BigInt(i) << 35n), seed),
  );
  const others = BigUint64Array.from({ length: 1000 }, (_, i) => BigInt(i));
  await table.push(keys, new Float32Array(n).fill(1));
  await table.push(others, new Float32Array(1000).fill(1));
  assert.equal(await table.contains(keys), new Uint8Array(n).fill(1));
  assert.is((await table.stats()).rows, n + 1000);
  await table.push(keys, new Float32Array(n).fill(1));
  assert.is((await table.stats()).rows, n + 1000);
  assert.is(await table.delete(keys.filter((_, i) => i % 2 === 0)), n / 2);
  const expected = Uint8Array.from(keys, (_, i) => i % 2);
  assert.equal(await table.contains(keys), expected);
  const rows = await table.pull(keys);
  await store.close();
  store = await openStore(directory, options);
  table = await store.table("crowded");
  assert.equal(await table.contains(keys), expected);
  assert.equal(await table.pull(keys), rows);
  await store.close();
  await rm(directory, { recursive: true });
});

test.run();
