// Cold rows as they are stored; docs/formats/cold-rows.md is the document.
import { EmbershardError } from "../base/errors.js";
import type { KeyRange, PageStore } from "../store/page-store.js";
import type { Arena } from "../table/arena.js";
import type { ColdRows } from "./cold-rows.js";

/** Key: 4, table number u32, key u64, big-endian. */
export const coldPrefix = 4;
export const coldKeyBytes = 13;
/** "ECR1" */
export const coldMagic = 0x3152_4345;
/** Value: "ECR1", bytes of the record u32, checksum u64, LSN of its writing u48 with 16 bits of check, the record. */
export const valueHeaderBytes = 24;

/** The last record when a value was written. Demands a whole header. */
export function writtenAt(value: Uint8Array): number {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  return view.getUint32(16, true) + view.getUint16(20, true) * 2 ** 32;
}

/** Whether the LSN of a value's writing is the one that was sealed with it. Demands a whole header. */
export function isTied(value: Uint8Array): boolean {
  const view = new DataView(value.buffer, value.byteOffset, value.length);
  const lsn = BigInt(writtenAt(value));
  const mixed = BigInt.asUintN(64, (lsn ^ view.getBigUint64(8, true)) * 0x9e37_79b9_7f4a_7c15n);
  return view.getUint16(22, true) === Number(mixed >> 48n);
}

/** Every key of a cold row, and nothing else. */
export const coldKeys: KeyRange = { gte: Uint8Array.of(coldPrefix), lt: Uint8Array.of(coldPrefix + 1) };

/** The keys of a table's cold rows. */
export function coldKeysOf(table: number): KeyRange {
  return { gte: prefixOf(table), lt: prefixOf(table + 1) };
}

function prefixOf(table: number): Uint8Array {
  const bytes = new Uint8Array(5);
  bytes[0] = coldPrefix;
  new DataView(bytes.buffer).setUint32(1, table);
  return bytes;
}

export function encodeColdKey(table: number, key: bigint): Uint8Array {
  const bytes = new Uint8Array(coldKeyBytes);
  const view = new DataView(bytes.buffer);
  bytes[0] = coldPrefix;
  view.setUint32(1, table);
  view.setBigUint64(5, key);
  return bytes;
}

/** Key of a value that is kept for versions: 5, LSN u64 since which it counts no more, table number u32, key u64, big-endian. */
export const keptPrefix = 5;
export const keptKeyBytes = 21;

export interface KeptKey {
  readonly table: number;
  readonly key: bigint;
  /** It was the row's value before this LSN, and no more from it on. */
  readonly at: number;
}

export function encodeKeptKey({ table, key, at }: KeptKey): Uint8Array {
  const bytes = keptFrom(at);
  const view = new DataView(bytes.buffer);
  view.setUint32(9, table);
  view.setBigUint64(13, key);
  return bytes;
}

function keptFrom(lsn: number): Uint8Array {
  const bytes = new Uint8Array(keptKeyBytes);
  bytes[0] = keptPrefix;
  new DataView(bytes.buffer).setBigUint64(1, BigInt(lsn));
  return bytes;
}

/** The keys of values that ceased to count after one LSN, up to another. */
export function keptKeysOf({ from, to }: { readonly from: number; readonly to: number }): KeyRange {
  return {
    gte: keptFrom(from + 1),
    lt: to >= Number.MAX_SAFE_INTEGER ? Uint8Array.of(keptPrefix + 1) : keptFrom(to + 1),
  };
}

/** Returns undefined for what is not the key of a kept value. */
export function decodeKeptKey(bytes: Uint8Array): KeptKey | undefined {
  if (bytes.length !== keptKeyBytes || bytes[0] !== keptPrefix) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { at: Number(view.getBigUint64(1)), table: view.getUint32(9), key: view.getBigUint64(13) };
}

/** Every key of a cold row and of a kept value, and nothing else. */
export const coldAndKeptKeys: KeyRange = {
  gte: Uint8Array.of(coldPrefix),
  lt: Uint8Array.of(keptPrefix + 1),
};

/** Returns undefined for what is not the key of a cold row. */
export function decodeColdKey(bytes: Uint8Array): { table: number; key: bigint } | undefined {
  if (bytes.length !== coldKeyBytes || bytes[0] !== coldPrefix) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return { table: view.getUint32(1), key: view.getBigUint64(5) };
}

/** Values of cold rows, checked, one behind the other. */
export interface ColdValues {
  /** Of each key that was asked for the number of its value; -1 where there is none. */
  readonly slots: Int32Array;
  readonly count: number;
  readonly bytes: Uint8Array;
}

/** Bytes of values that are checked at once in scratch. */
const pieceBytes = 4 << 20;

/**
 * Reads the values of distinct keys, best in ascending order, as of the call. The keys are borrowed until this returns.
 *
 * @throws CORRUPT naming table and key, IO
 */
export async function readColdValues(
  pages: PageStore,
  front: Arena,
  cold: ColdRows,
  keys: BigUint64Array,
): Promise<ColdValues> {
  const { number } = cold.table.definition;
  const n = keys.length;
  const own = keys.slice();
  front.beginScratch((8 + coldKeyBytes) * n + 2 * 64);
  const at = front.takeScratch(8 * n);
  const stored = front.takeScratch(coldKeyBytes * n);
  front.u64.set(keys, at / 8);
  front.kernel.storeKeys(at, n, coldPrefix, number, stored);
  const { bytes, ends } = await pages.getMany(
    front.bytes.subarray(stored, stored + coldKeyBytes * n),
    coldKeyBytes,
  );
  const slots = new Int32Array(n);
  const found = new BigUint64Array(n);
  let count = 0;
  for (let i = 0, end = 0; i < n; i++) {
    const length = ends[i] - end;
    end = ends[i];
    slots[i] = length === 0 ? -1 : count;
    if (length === 0) continue;
    if (length !== cold.valueBytes) throw damaged(cold, own[i]);
    found[count++] = own[i];
  }
  checkColdValues(front, cold, found.subarray(0, count), bytes);
  return { slots, count, bytes };
}

/** Demands that values are those of their keys. @throws CORRUPT naming table and key. */
export function checkColdValues(
  front: Arena,
  cold: ColdRows,
  keys: BigUint64Array,
  values: Uint8Array,
): void {
  const piece = Math.max(1, Math.floor(pieceBytes / cold.valueBytes));
  for (let from = 0; from < keys.length; from += piece) {
    const n = Math.min(piece, keys.length - from);
    front.beginScratch(n * (8 + cold.valueBytes) + 2 * 64);
    const keysAt = front.takeScratch(8 * n);
    const at = front.takeScratch(n * cold.valueBytes);
    front.u64.set(keys.subarray(from, from + n), keysAt / 8);
    front.bytes.set(values.subarray(from * cold.valueBytes, (from + n) * cold.valueBytes), at);
    const wrong = front.kernel.checkValues(at, n, cold.table.recordBytes, cold.seed, keysAt);
    if (wrong >= 0) throw damaged(cold, keys[from + wrong]);
  }
}

export function damaged({ table }: ColdRows, key: bigint): EmbershardError {
  return new EmbershardError(
    "CORRUPT",
    `the cold row of key ${key} of table "${table.definition.name}" does not match its checksum: restore the directory from a backup`,
  );
}
