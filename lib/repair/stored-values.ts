// What the keys of the pages' LevelDB mean, and how a value proves itself. One reader for each first byte of a key.
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import {
  coldMagic,
  coldPrefix,
  decodeColdKey,
  decodeKeptKey,
  isTied,
  keptPrefix,
  valueHeaderBytes,
  writtenAt,
} from "../shard/cold-values.js";
import { decodeManifest, type Manifest } from "../shard/manifest.js";
import { decodePageHeader, decodePageKey, type PageHeader, pageHeaderBytes } from "../shard/page-image.js";

/** XXH64 of `length` bytes of a value from `offset`. */
export type ValueHash = (offset: number, length: number, seed: bigint) => bigint;

/** What a value was found to be. */
export type Proof =
  | { readonly kind: "manifest"; readonly manifest: Manifest }
  | { readonly kind: "version"; readonly name: string; readonly manifest: Manifest }
  | { readonly kind: "page"; readonly header: PageHeader }
  /** Of a cold row; `written` is the LSN of its writing. */
  | { readonly kind: "cold"; readonly table: number; readonly written: number; readonly checksum: bigint }
  /** Nobody knows what it is; nothing that this version reads refers to it. */
  | { readonly kind: "unknown" }
  /** Its bytes do not add up. `header`: of the image of a page, where that says what its key says; nothing proves it. */
  | { readonly kind: "damaged"; readonly reason: string; readonly header?: PageHeader };

type ValueReader = (key: Uint8Array, value: Uint8Array, hash: ValueHash) => Proof;

const readers: ReadonlyMap<number, ValueReader> = new Map<number, ValueReader>([
  [0, readManifest],
  [1, readPage],
  [2, readVersion],
  [coldPrefix, readCold],
  [keptPrefix, readCold],
]);

/** Takes a value for what its key says. */
export function proveValue(key: Uint8Array, value: Uint8Array, hash: ValueHash): Proof {
  const read = readers.get(key[0]);
  return read ? read(key, value, hash) : { kind: "unknown" };
}

/** A key for people. */
export function describeKey(key: Uint8Array): string {
  const page = decodePageKey(key);
  if (page) return `page ${page.page} of arena ${page.arena}, generation ${page.generation}`;
  if (key.length === 1 && key[0] === 0) return "the manifest";
  const cold = decodeColdKey(key);
  if (cold) return `the cold row of key ${cold.key} of table number ${cold.table}`;
  const kept = decodeKeptKey(key);
  if (kept) return `the row of key ${kept.key} of table number ${kept.table} as it was before LSN ${kept.at}`;
  if (key[0] === 2) return `the manifest of version "${new TextDecoder().decode(key.subarray(1))}"`;
  return `key ${Buffer.from(key).toString("hex")}`;
}

function readManifest(key: Uint8Array, value: Uint8Array): Proof {
  if (key.length !== 1) return { kind: "damaged", reason: "no manifest has such a key" };
  const manifest = decode(value);
  return typeof manifest === "string"
    ? { kind: "damaged", reason: manifest }
    : { kind: "manifest", manifest };
}

function readVersion(key: Uint8Array, value: Uint8Array): Proof {
  const name = new TextDecoder().decode(key.subarray(1));
  const manifest = decode(value);
  if (typeof manifest === "string") return { kind: "damaged", reason: manifest };
  const said = (manifest as { version?: { name?: unknown } }).version?.name;
  if (said !== name) return { kind: "damaged", reason: `it is that of ${JSON.stringify(said)}` };
  return { kind: "version", name, manifest };
}

function decode(value: Uint8Array): Manifest | string {
  try {
    return decodeManifest(value);
  } catch (error) {
    if (error instanceof EmbershardError) {
      if (error.code === "NEWER_FORMAT") throw error;
      return "it does not match its checksum";
    }
    // Behind a checksum that matches: JSON or lengths that no version of ours wrote.
    return `it does not add up: ${(error as Error).message}`;
  }
}

function readPage(keyBytes: Uint8Array, value: Uint8Array, hash: ValueHash): Proof {
  const key = decodePageKey(keyBytes);
  if (!key) return { kind: "damaged", reason: "no page has such a key" };
  const header = decodePageHeader(value);
  if (!header) return { kind: "damaged", reason: "it is not the image of a page" };
  if (header.arena !== key.arena || header.page !== key.page || header.generation !== key.generation)
    return {
      kind: "damaged",
      reason: `it is the image of page ${header.page} of arena ${header.arena}, generation ${header.generation}`,
    };
  if (hash(pageHeaderBytes, header.bodyBytes, hash(0, 56, 0n)) !== header.checksum)
    return { kind: "damaged", reason: "it does not match its checksum", header };
  return { kind: "page", header };
}

/** Gives a function that says what is wrong with a value, undefined when nothing is: with a page that is not the one of `checksum`, too. */
export function proverOf(): (
  entry: { readonly key: Uint8Array; readonly value: Uint8Array },
  checksum?: bigint,
) => string | undefined {
  let block = createHashBlock(1 << 18);
  return ({ key, value }, checksum) => {
    if (value.length > block.bytes.length) block = createHashBlock(value.length);
    block.bytes.set(value);
    const proof = proveValue(key, value, (at, length, seed) => block.checksum(at, length, seed));
    if (proof.kind === "damaged") return proof.reason;
    if (checksum !== undefined && !(proof.kind === "page" && proof.header.checksum === checksum))
      return "it is not the image that was looked for";
    return undefined;
  };
}

function readCold(keyBytes: Uint8Array, value: Uint8Array, hash: ValueHash): Proof {
  const key = decodeColdKey(keyBytes) ?? decodeKeptKey(keyBytes);
  if (!key) return { kind: "damaged", reason: "no cold row has such a key" };
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const bytes = value.length - valueHeaderBytes;
  if (bytes < 16 || view.getUint32(0, true) !== coldMagic || view.getUint32(4, true) !== bytes)
    return { kind: "damaged", reason: "it is not the value of a cold row" };
  if (view.getBigUint64(valueHeaderBytes, true) !== key.key)
    return { kind: "damaged", reason: `it is the row of key ${view.getBigUint64(valueHeaderBytes, true)}` };
  const checksum = view.getBigUint64(8, true);
  if (hash(valueHeaderBytes, bytes, BigInt(key.table)) !== checksum)
    return { kind: "damaged", reason: "it does not match its checksum" };
  if (!isTied(value)) return { kind: "damaged", reason: "the LSN of its writing is not its own" };
  return { kind: "cold", table: key.table, written: writtenAt(value), checksum };
}
