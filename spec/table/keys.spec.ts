import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import xxhash from "xxhash-wasm";
import { hashName } from "../../lib/api/keys.js";
import { Prng } from "../../lib/base/prng.js";
import { crossKeysOf, EmbershardError, type KeyColumn, keysOf } from "../../lib/index.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { SCRATCH } from "../../lib/kernel/layout.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";

const { h64, h64Raw } = await xxhash();
const encoder = new TextEncoder();

/** A key as the document says it. */
function keyOf(feature: string, bytes: Uint8Array): bigint {
  return h64Raw(bytes, h64(feature));
}

/** The bytes of a composite value as the document says them. */
function partsOf(parts: readonly (string | bigint)[]): Uint8Array {
  const bytes = parts.flatMap((part) => {
    const isText = typeof part === "string";
    const body = isText ? encoder.encode(part) : new Uint8Array(BigUint64Array.of(part).buffer);
    const length = new Uint8Array(Uint32Array.of(body.length).buffer);
    return [isText ? 1 : 2, ...length, ...body];
  });
  return Uint8Array.from(bytes);
}

function codeOf(work: () => unknown): string | undefined {
  try {
    work();
    return undefined;
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}

interface Golden {
  readonly feature: string;
  readonly value?: string;
  /** Strings, or { u64: decimal }. */
  readonly parts?: readonly (string | { readonly u64: string })[];
  readonly key: string;
}

const golden = readFileSync(new URL("../../../spec/golden/keys.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Golden);

test("golden keys", () => {
  assert.ok(golden.length >= 20);
  for (const { feature, value, parts, key } of golden) {
    const columns = parts?.map(
      (part): KeyColumn => (typeof part === "string" ? [part] : BigUint64Array.of(BigInt(part.u64))),
    );
    const found = columns ? crossKeysOf(feature, columns) : keysOf(feature, [value!]);
    assert.equal(found, BigUint64Array.of(BigInt(key)), JSON.stringify({ feature, value, parts }));
  }
});

test("docs/keys.md has the golden keys", () => {
  const document = readFileSync(new URL("../../../docs/keys.md", import.meta.url), "utf8");
  for (const { key } of golden) assert.ok(document.includes(key), `docs/keys.md lacks the golden key ${key}`);
});

test("a value's key is XXH64 of its bytes, seeded with XXH64 of the feature's name", () => {
  const random = new Prng(1);
  const alphabet = ["a", "Z", "0", " ", "é", "語", "🦊", "\0", "\u{10ffff}"];
  const values = Array.from({ length: 40_000 }, (_, i) =>
    Array.from({ length: i % 71 }, () => alphabet[random.below(alphabet.length)]).join(""),
  );
  const keys = keysOf("genre", values);
  values.forEach((value, i) => {
    const expected = keyOf("genre", encoder.encode(value));
    if (keys[i] !== expected) assert.is(keys[i], expected, JSON.stringify(value));
  });
  assert.is(hashName("genre", 0n), h64("genre"));
  assert.is(hashName("genre", 1n), h64("genre", 1n));
});

test("parts of a composite value are marked by type and length", () => {
  const random = new Prng(2);
  const n = 5000;
  const users = BigUint64Array.from({ length: n }, (_, i) =>
    i === 0 ? 2n ** 64n - 1n : BigInt(random.u32()) * BigInt(random.u32()),
  );
  const words = Array.from({ length: n }, (_, i) => "wörd".repeat(i % 9));
  const items = BigUint64Array.from({ length: n }, () => BigInt(random.below(3)));
  const keys = crossKeysOf("user-x-item", [users, words, items]);
  for (let i = 0; i < n; i++) {
    const expected = keyOf("user-x-item", partsOf([users[i], words[i], items[i]]));
    if (keys[i] !== expected) assert.is(keys[i], expected, `value ${i}`);
  }
  const distinct = [
    ["ab", "c"],
    ["a", "bc"],
    ["abc", ""],
    ["", "abc"],
  ].map(([a, b]) => crossKeysOf("f", [[a], [b]])[0]);
  distinct.push(crossKeysOf("f", [["abc"]])[0], keysOf("f", ["abc"])[0], keysOf("g", ["abc"])[0]);
  distinct.push(crossKeysOf("f", [["7"]])[0], crossKeysOf("f", [BigUint64Array.of(7n)])[0]);
  assert.is(new Set(distinct).size, distinct.length);
});

test("values may be long, and many long ones come in one call", () => {
  const long = "x".repeat(1 << 20);
  const values = [long, "", `${long.slice(2)}yz`, "語".repeat(1 << 20), long];
  const keys = keysOf("f", values);
  assert.equal(
    [...keys],
    values.map((value) => keyOf("f", encoder.encode(value))),
  );
  assert.is(
    codeOf(() => keysOf("f", [`${long}x`])),
    "TOO_LARGE",
  );
  assert.is(
    codeOf(() => crossKeysOf("f", [["語".repeat(1 << 20)], ["語".repeat(1 << 20)]])),
    "TOO_LARGE",
  );
  assert.equal(keysOf("f", []), new BigUint64Array(0));
  assert.equal(crossKeysOf("f", [[]]), new BigUint64Array(0));
});

test("what is no value is refused with a code, and the next call works", () => {
  const wrong: [() => unknown, string][] = [
    [() => keysOf("", ["a"]), "INVALID_NAME"],
    [() => keysOf("a/b", ["a"]), "INVALID_NAME"],
    [() => keysOf("__proto__", ["a"]), "INVALID_NAME"],
    [() => keysOf("x".repeat(129), ["a"]), "INVALID_NAME"],
    [() => keysOf(5 as never, ["a"]), "INVALID_NAME"],
    [() => keysOf("f", "abc" as never), "INVALID_ARGUMENT"],
    [() => keysOf("f", undefined as never), "INVALID_ARGUMENT"],
    [() => keysOf("f", ["a", 5 as never]), "INVALID_ARGUMENT"],
    [() => keysOf("f", ["a", undefined as never]), "INVALID_ARGUMENT"],
    [() => keysOf("f", ["\ud800"]), "INVALID_ARGUMENT"],
    [() => keysOf("f", ["a\udc00b"]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", undefined as never), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", []), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", "ab" as never), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", [["a"], ["b", "c"]]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", ["abc" as never]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", [[5n] as never]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", [[-1n] as never]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", [null as never]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", [new BigInt64Array(1) as never]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("f", [new Float64Array(1) as never]), "INVALID_ARGUMENT"],
    [() => crossKeysOf("", [["a"]]), "INVALID_NAME"],
  ];
  for (const [work, code] of wrong) {
    assert.is(codeOf(work), code, String(work));
    assert.is(keysOf("f", ["a"])[0], keyOf("f", encoder.encode("a")));
  }
});

test("the kernel hashes keys and places them as XXH64 does", () => {
  const { exports, memory } = instantiateKernel(0);
  const random = new Prng(3);
  const n = 4096;
  const keys = new BigUint64Array(memory.buffer, SCRATCH, n);
  for (let i = 0; i < n; i++) keys[i] = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
  keys.set([0n, 1n, 2n ** 64n - 1n, 2n ** 63n]);
  for (const seed of [0n, 1n, 2n ** 64n - 1n, h64("items", 1n)]) {
    const slots = new Uint16Array(memory.buffer, SCRATCH + 8 * n, n);
    exports.slotsOf(SCRATCH, n, seed, SCRATCH + 8 * n);
    for (let i = 0; i < n; i++) {
      const expected = h64Raw(new Uint8Array(memory.buffer, SCRATCH + 8 * i, 8), seed);
      if (hashKey(keys[i], seed) !== expected) assert.is(hashKey(keys[i], seed), expected, `key ${keys[i]}`);
      if (slots[i] !== Number(expected >> 50n))
        assert.is(slots[i], Number(expected >> 50n), `slot of key ${keys[i]}`);
    }
  }
  const bytes = new Uint8Array(memory.buffer, SCRATCH, 2000);
  for (let length = 0; length < 300; length++) {
    const at = random.below(900);
    const seed = BigInt(random.u32());
    assert.is(
      BigInt.asUintN(64, exports.xxh64(SCRATCH + at, length, seed)),
      h64Raw(bytes.subarray(at, at + length), seed),
    );
  }
});

test("the kernel finds the first key of a slot that is not owned or out of range", () => {
  const { exports, memory } = instantiateKernel(0);
  const random = new Prng(4);
  const n = 300;
  const keys = new BigUint64Array(memory.buffer, SCRATCH, n);
  const owned = new Uint8Array(memory.buffer, SCRATCH + 8 * n, 2048);
  let [found, whole] = [0, 0];
  for (let round = 0; round < 400; round++) {
    for (let i = 0; i < n; i++) keys[i] = (BigInt(random.u32()) << 32n) | BigInt(random.u32());
    const placement = BigInt(random.u32());
    // Nearly all are owned: most first strangers lie far behind.
    owned.fill(255);
    for (let k = random.below(3) * random.below(60); k > 0; k--)
      owned[random.below(2048)] &= ~(1 << random.below(8));
    const first = random.below(2) * random.below(100);
    const last = 16_383 - random.below(2) * random.below(100);
    const expected = keys.findIndex((key) => {
      const slot = Number(hashKey(key, placement) >> 50n);
      return slot < first || slot > last || ((owned[slot >> 3] >> (slot & 7)) & 1) === 0;
    });
    // -1: they do not come in the order of their slots.
    assert.is(exports.checkSlots(SCRATCH, n, placement, SCRATCH + 8 * n, first, last), expected);
    if (expected < 0) whole++;
    else found++;
  }
  assert.ok(found > 100 && whole > 50, `${found} with a stranger, ${whole} without`);
});

test("keys in the order of their slots are seen to be distinct or not, unless many are of one slot", () => {
  const { exports, memory } = instantiateKernel(0);
  const random = new Prng(5);
  const placement = 77n;
  const owned = SCRATCH + 8 * 4096;
  new Uint8Array(memory.buffer, owned, 2048).fill(255);
  const slotOf = (key: bigint) => Number(hashKey(key, placement) >> 50n);
  const drawn = (n: number) =>
    Array.from({ length: n }, () => (BigInt(random.u32()) << 32n) | BigInt(random.u32()));
  const check = (keys: readonly bigint[]) => {
    new BigUint64Array(memory.buffer, SCRATCH, keys.length).set(keys);
    return exports.checkSlots(SCRATCH, keys.length, placement, owned, 0, 16_383);
  };
  const inOrder = (keys: bigint[]) => keys.sort((a, b) => slotOf(a) - slotOf(b));
  for (const n of [0, 1, 2, 50, 4000]) {
    const keys = inOrder(drawn(n));
    assert.is(check(keys), -2, `${n} distinct keys in order`);
    if (n < 2) continue;
    const repeated = inOrder([...keys.slice(1), keys[random.below(n - 1) + 1]]);
    assert.is(check(repeated), -1, `${n} keys, one of them twice`);
    assert.is(check([...keys].reverse()), -1, `${n} keys out of order`);
  }
  // More keys of a slot than are compared.
  const crowd = drawn(200_000).filter((key) => slotOf(key) === 9);
  assert.ok(crowd.length > 8, `${crowd.length} keys of a slot`);
  assert.is(check(crowd.slice(0, 8)), -2);
  assert.is(check([...crowd, ...crowd, ...crowd]), -1);
});

test.run();
