// The values of cold rows that files hold, by what they may be at the end of a salvage.
import { decodeColdKey, decodeKeptKey, valueHeaderBytes } from "../shard/cold-values.js";
import { decodePageKey, encodePageKey, pageHeaderBytes } from "../shard/page-image.js";
import { readValue } from "./backup-store.js";
import type { ColdValue, DamagedValue } from "./cold-choice.js";
import type { Examination } from "./examination.js";
import type { StoredEntry } from "./page-inventory.js";
import type { MendedPage } from "./salvage-plan.js";

/** Whole values, at most one of a key, and keys whose value is damaged, by the number of the table. */
export interface StoredCold {
  readonly values: ReadonlyMap<number, readonly ColdValue[]>;
  readonly damaged: ReadonlyMap<number, readonly DamagedValue[]>;
  /** Whole values that were kept for versions. */
  readonly kept: readonly StoredEntry[];
}

/** Finds for each key the value that it may have had at an LSN, the last that can be had. @throws IO */
export async function storedCold({ pages }: Examination, lsn: number, isEnd: boolean): Promise<StoredCold> {
  const values = new Map<number, ColdValue[]>();
  const damaged = new Map<number, DamagedValue[]>();
  const kept: StoredEntry[] = [];
  const keptThen = new Map<string, StoredEntry>();
  for (const [entry] of pages.entries.values()) {
    const { key, proof, deletion, file } = entry;
    const at = decodeKeptKey(key);
    if (!at || deletion || !file.current || proof.kind !== "cold") continue;
    kept.push(entry);
    if (proof.written <= lsn && lsn < at.at) keptThen.set(rowId(at), entry);
  }
  const seen = new Set<string>();
  for (const entries of pages.entries.values()) {
    const row = decodeColdKey(entries[0].key);
    if (!row) continue;
    const id = rowId(row);
    seen.add(id);
    const fault = await damageOf(entries[0]);
    if (fault) push(damaged, row.table, { key: row.key, ...fault });
    const value = fault ? undefined : valueThen(row.key, entries, keptThen.get(id), lsn, isEnd);
    if (value) push(values, row.table, value);
  }
  for (const [id, entry] of keptThen) {
    if (seen.has(id)) continue;
    const { table, key } = decodeKeptKey(entry.key)!;
    push(values, table, coldValue(key, entry, "kept"));
  }
  return { values, damaged, kept };
}

function rowId({ table, key }: { readonly table: number; readonly key: bigint }): string {
  return `${table}/${key}`;
}

function push<T>(map: Map<number, T[]>, number: number, one: T): void {
  const some = map.get(number);
  if (some) some.push(one);
  else map.set(number, [one]);
}

function coldValue(key: bigint, entry: StoredEntry, from: ColdValue["from"]): ColdValue {
  if (entry.proof.kind !== "cold") throw new TypeError("only whole values are given");
  const { written, checksum } = entry.proof;
  return { key, entry, written, checksum, from };
}

async function damageOf(newest: StoredEntry): Promise<{ checksum: bigint | undefined } | undefined> {
  const { proof, deletion, file, bytes } = newest;
  if (proof.kind !== "damaged" || deletion || !file.current) return undefined;
  if (bytes < valueHeaderBytes) return { checksum: undefined };
  const value = await readValue(newest);
  return { checksum: new DataView(value.buffer, value.byteOffset, value.length).getBigUint64(8, true) };
}

function valueThen(
  key: bigint,
  entries: readonly StoredEntry[],
  kept: StoredEntry | undefined,
  lsn: number,
  isEnd: boolean,
): ColdValue | undefined {
  const isThen = ({ proof, deletion }: StoredEntry) =>
    !deletion && proof.kind === "cold" && proof.written <= lsn;
  const [newest] = entries;
  if (newest.file.current && isThen(newest)) return coldValue(key, newest, "newest");
  if (kept) return coldValue(key, kept, "kept");
  // What was deleted by then stays so.
  if (isEnd) return undefined;
  const older = entries.filter(isThen).sort((a, b) => b.sequence - a.sequence)[0];
  return older && coldValue(key, older, "older");
}

/**
 * Keys of live rows in what is left of lost pages: in the images that the manifest names, though nothing proves them, and in all
 * that there are. Where rows begin a table says.
 */
export async function keysInRemains(
  { pages }: Examination,
  lost: readonly MendedPage[],
  recordBytes: number,
): Promise<[Set<bigint>, Set<bigint>]> {
  const [current, all] = [new Set<bigint>(), new Set<bigint>()];
  const wanted = new Set(lost.map(placeOf));
  const named = new Set(lost.map((page) => Buffer.from(encodePageKey(page)).toString("hex")));
  for (const [id, entries] of pages.entries) {
    const page = decodePageKey(entries[0].key);
    if (!page || !wanted.has(placeOf(page))) continue;
    for (const entry of entries) {
      if (entry.deletion) continue;
      for (const key of liveKeys(await readValue(entry), recordBytes)) {
        all.add(key);
        if (named.has(id)) current.add(key);
      }
    }
  }
  return [current, all];
}

function placeOf({ arena, page }: { readonly arena: number; readonly page: number }): string {
  return `${arena}/${page}`;
}

function* liveKeys(image: Uint8Array, recordBytes: number): Generator<bigint> {
  const view = new DataView(image.buffer, image.byteOffset, image.length);
  for (let at = pageHeaderBytes; at + recordBytes <= image.length; at += recordBytes)
    if (view.getUint32(at + 8, true) >>> 31 === 1) yield view.getBigUint64(at, true);
}
