// Values of cold rows that versions need are kept under keys of their own before they are written over or taken out.
import type { PageBatch, PageStore } from "../store/page-store.js";
import { coldKeyBytes, encodeColdKey, encodeKeptKey, valueHeaderBytes, writtenAt } from "./cold-values.js";
import { Line } from "./line.js";
import type { ShardState } from "./shard-state.js";

/** A rollback whose cold rows are still to be put back: the LSN of the version, and that of the rollback. */
export interface ColdRestore {
  readonly lsn: number;
  readonly at: number;
}

/** What is under way with values of cold rows. */
export class ColdKeeping {
  /** Changes of values, one after the other: each looks at what it writes over. */
  readonly line = new Line();
  /** Kept values that were superseded after `from`, up to `to`, may be of no use any more. */
  readonly stale: { readonly from: number; readonly to: number }[] = [];
  #restore: ColdRestore | undefined;
  #restored: Promise<void> | undefined;
  #settle = () => {};

  /** What a rollback has left to do: until it is done nobody can read cold rows. */
  get restore(): ColdRestore | undefined {
    return this.#restore;
  }

  /** Resolves when the rows of `restore` are back, or could not be put back now. */
  get restored(): Promise<void> | undefined {
    return this.#restored;
  }

  beginRestore(restore: ColdRestore | undefined): void {
    this.#restore = restore;
    this.#restored = new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  /** The rows are back, and the manifest says so. */
  endRestore(): void {
    this.#restore = undefined;
    this.#settle();
  }

  /** Those who wait are told that it did not work. */
  failRestore(): void {
    this.#settle();
  }
}

/** Who may need what values were: versions, and those who read an instant. */
export type Keepers = Pick<ShardState, "versions" | "readers">;

/** Whether a value may be needed at all. */
export function keepsAny({ versions, readers }: Keepers): boolean {
  if (versions.size > 0) return true;
  for (const { coldLsn } of readers) if (coldLsn !== undefined) return true;
  return false;
}

/** The instants that are needed, as far as they are known. */
export function keeperLsns({ versions, readers }: Keepers): number[] {
  const lsns = [...versions.values()].flatMap((one) => ("damage" in one ? [] : [one.manifest.lsn]));
  for (const { coldLsn } of readers) if (coldLsn !== undefined) lsns.push(coldLsn);
  return lsns;
}

/** Whether a value that was written at an LSN, and superseded at another, is that of an instant which is needed. */
export function isKept({ versions, readers }: Keepers, written: number, superseded: number): boolean {
  const sees = (lsn: number) => written <= lsn && lsn < superseded;
  // Of a version whose manifest is damaged nobody knows what it needs.
  for (const version of versions.values()) if ("damage" in version || sees(version.manifest.lsn)) return true;
  for (const { coldLsn } of readers) if (coldLsn !== undefined && sees(coldLsn)) return true;
  return false;
}

/** Has the values that cold rows had at an LSN kept, until what it gives is called. */
export function holdColdAt(state: Pick<ShardState, "readers" | "keeping">, lsn: number): () => void {
  const reader = { ledger: undefined, coldLsn: lsn };
  state.readers.add(reader);
  return () => {
    if (state.readers.delete(reader)) state.keeping.stale.push({ from: lsn, to: Number.MAX_SAFE_INTEGER });
  };
}

/** A value that is to be written over or taken out: its table and key, and the LSN since which it counts no more. */
export interface Superseded {
  readonly table: number;
  readonly key: bigint;
  readonly at: number;
}

/**
 * Reads the values of keys as the page store has them, where one may have to be kept; undefined where none has. The caller
 * has the line of the changes. Keys lie one behind the other.
 */
export async function readSuperseded(
  state: Keepers & { readonly pages: PageStore },
  keys: Uint8Array,
): Promise<((i: number) => Uint8Array | undefined) | undefined> {
  if (keys.length === 0 || !keepsAny(state)) return undefined;
  const { bytes, ends } = await state.pages.getMany(keys, coldKeyBytes);
  return (i) => {
    const begin = i === 0 ? 0 : ends[i - 1];
    return ends[i] === begin ? undefined : bytes.subarray(begin, ends[i]);
  };
}

/** Adds the keeping of a value to the batch that writes over it, if it is needed. */
export function keepSuperseded(
  keepers: Keepers,
  batch: PageBatch,
  { table, key, at }: Superseded,
  value: Uint8Array | undefined,
): void {
  if (!value) return;
  // What is no value is kept, too: whoever needs it says that it is damaged.
  const written = value.length < valueHeaderBytes ? 0 : writtenAt(value);
  if (isKept(keepers, written, at)) batch.put(encodeKeptKey({ table, key, at }), value);
}

/** Keys of cold rows one behind the other. */
export function joinKeys(rows: readonly { readonly table: number; readonly key: bigint }[]): Uint8Array {
  const joined = new Uint8Array(coldKeyBytes * rows.length);
  for (const [i, { table, key }] of rows.entries()) joined.set(encodeColdKey(table, key), coldKeyBytes * i);
  return joined;
}
