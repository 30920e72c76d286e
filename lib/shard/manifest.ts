// The manifest: what a checkpoint, or a version, consists of. Written last, in one atomic batch; docs/formats/manifest.md is
// the document.

import type { TableDefinition } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { createHashBlock } from "../kernel/hash-block.js";
import type { ColdRestore } from "./cold-keeping.js";
import type { ColdNote } from "./cold-rows.js";
import type { HandOverNote } from "./hand-over.js";
import type { WorkersNote } from "./sequences.js";

export const manifestKey = Uint8Array.of(0);
export const manifestFormat = 1;

/** What a table knows beside its rows. */
export interface TableProgress {
  readonly number: number;
  /** The highest step of its writes. */
  readonly step: number;
  /** Decays of its counters. */
  readonly epoch: number;
}

export interface Manifest {
  readonly generation: number;
  /** Records after this LSN may be missing from pages: replay begins there. */
  readonly replayLsn: number;
  /** The LSN of the instant that the checkpoint is a copy of. */
  readonly lsn: number;
  /** Milliseconds since the epoch. */
  readonly at: number;
  readonly tables: readonly TableDefinition[];
  /** What writes have told of tables; absent for those that know of neither steps nor decays. */
  readonly progress?: readonly TableProgress[] | undefined;
  /** The latest time of a write to a table that keeps times, milliseconds since the epoch; absent before the first. */
  readonly time?: number | undefined;
  /** The number that the next table gets. */
  readonly nextTable: number;
  /** The arena of each slot, base64 of u8[16384]; absent with one arena. */
  readonly arenaOf?: string | undefined;
  readonly handOver?: HandOverNote | undefined;
  /** Cold rows as of `replayLsn`, of the tables that have any. */
  readonly cold?: readonly ColdNote[] | undefined;
  /** Of a rollback whose cold rows are still to be put back. */
  readonly coldRestore?: ColdRestore | undefined;
  /** The caller's mark, base64. */
  readonly mark?: string | undefined;
  /** Workers and what they have pushed; absent where there never was one. */
  readonly workers?: WorkersNote | undefined;
  /** Of a version only. */
  readonly version?: VersionNote | undefined;
  /** For each arena the generation of each page's image, by number of page; 0 = none. */
  readonly pages: readonly Uint32Array[];
  /** Of a version only: the bytes of each of those images, in arrays of the same lengths. */
  readonly imageBytes?: readonly Uint32Array[] | undefined;
}

/** What makes a manifest that of a version. */
export interface VersionNote {
  readonly name: string;
  readonly note: string;
  /** Rows of each table, in the order of the manifest's tables. */
  readonly rows: readonly number[];
  /** What the parts of a version over several shards have in common; absent where the shard has all of it. */
  readonly cut?: string | undefined;
}

const magic = 0x4e41_4d45; // "EMAN"
const headerBytes = 32;
const hasImageBytes = 1;

/**
 *   0 magic u32 | 4 format u32 | 8 checksum u64 = XXH64(bytes 16 to the end, seed 0) | 16 JSON bytes u32 | 20 arenas u32
 *   24 flags u32: bit 0 = lists of image bytes follow | 28 zero u32 | 32 JSON, zeros to a multiple of 8
 *   for each arena: pages u32, zero u32, generations u32[pages], zeros to a multiple of 8; then alike the images' bytes
 */
export function encodeManifest({ pages, imageBytes, ...rest }: Manifest): Uint8Array {
  const json = new TextEncoder().encode(JSON.stringify(rest));
  const jsonEnd = headerBytes + round8(json.length);
  const lists = [...pages, ...(imageBytes ?? [])];
  const length = lists.reduce((sum, one) => sum + 8 + round8(4 * one.length), jsonEnd);
  const block = createHashBlock(length);
  const { bytes } = block;
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  view.setUint32(0, magic, true);
  view.setUint32(4, manifestFormat, true);
  view.setUint32(16, json.length, true);
  view.setUint32(20, pages.length, true);
  view.setUint32(24, imageBytes ? hasImageBytes : 0, true);
  bytes.set(json, headerBytes);
  let at = jsonEnd;
  for (const one of lists) {
    view.setUint32(at, one.length, true);
    bytes.set(new Uint8Array(one.buffer, one.byteOffset, one.byteLength), at + 8);
    at += 8 + round8(4 * one.length);
  }
  view.setBigUint64(8, block.checksum(16, length - 16, 0n), true);
  return bytes;
}

/** `what` is it called in errors. @throws CORRUPT when it does not add up, NEWER_FORMAT */
export function decodeManifest(value: Uint8Array, what = "the manifest"): Manifest {
  const block = createHashBlock(Math.max(value.length, headerBytes));
  block.bytes.set(value);
  const view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.length);
  if (
    view.getUint32(0, true) !== magic ||
    view.getBigUint64(8, true) !== block.checksum(16, Math.max(0, value.length - 16), 0n)
  ) {
    throw new EmbershardError(
      "CORRUPT",
      `${what} does not match its checksum: restore the directory from a backup`,
    );
  }
  const format = view.getUint32(4, true);
  if (format > manifestFormat) {
    throw new EmbershardError(
      "NEWER_FORMAT",
      `${what} has format ${format}, this version reads up to ${manifestFormat}: upgrade Embershard`,
    );
  }
  const jsonBytes = view.getUint32(16, true);
  const rest = JSON.parse(new TextDecoder().decode(block.bytes.slice(headerBytes, headerBytes + jsonBytes)));
  const arenas = view.getUint32(20, true);
  const count = view.getUint32(24, true) & hasImageBytes ? 2 * arenas : arenas;
  const lists: Uint32Array[] = [];
  for (let at = headerBytes + round8(jsonBytes); lists.length < count; ) {
    const length = view.getUint32(at, true);
    lists.push(new Uint32Array(block.bytes.slice(at + 8, at + 8 + 4 * length).buffer));
    at += 8 + round8(4 * length);
  }
  return {
    ...rest,
    pages: lists.slice(0, arenas),
    ...(count > arenas && { imageBytes: lists.slice(arenas) }),
  };
}

function round8(bytes: number): number {
  return (bytes + 7) & ~7;
}
