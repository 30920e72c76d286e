// What is found out about a file of rows before the first row of a table changes.
import { EmbershardError } from "../base/errors.js";
import { firstNonFinite } from "./element-types.js";
import { KeySet, partOf, wordsOf } from "./key-set.js";
import { KeySieve } from "./key-sieve.js";
import type { RowColumns, RowReader, WantedColumns } from "./row-file.js";
import type { TransferTable } from "./transfer-types.js";

/** Keys of a set at most: 128 MiB of memory. More are looked at in several passes over the keys. */
const KEYS_OF_A_SET = 1 << 22;

/** In how many parts a file's keys are looked at. */
export function partsOf(reader: RowReader): number {
  return Math.max(1, Math.ceil(keysIn(reader) / KEYS_OF_A_SET));
}

function keysIn({ rows, removedRows }: RowReader): number {
  return rows + removedRows;
}

/** The keys of a file that are in one part, removed ones, too; each comes once. @throws IO, CORRUPT */
export async function keysOfPart(reader: RowReader, part: number, parts: number): Promise<KeySet> {
  const set = new KeySet(parts === 1 ? keysIn(reader) : KEYS_OF_A_SET);
  for (const { pieces } of keyListsOf(reader)) {
    for await (const keys of pieces) addPart(wordsOf(keys), set, part, parts);
  }
  return set;
}

/**
 * Demands that no key comes twice, removed ones included. What cannot be told by a few bits a key, an eighth of the keys
 * at most unless there are very many, is looked at again as a whole.
 *
 * @throws IO, CORRUPT naming the key
 */
export async function demandDistinct(
  what: string,
  reader: RowReader,
  onPass: () => void = () => {},
): Promise<void> {
  const sieve = new KeySieve(keysIn(reader));
  for (const { pieces } of keyListsOf(reader)) for await (const keys of pieces) sieve.take(wordsOf(keys));
  onPass();
  const suspects = Math.min(sieve.most, keysIn(reader));
  const parts = Math.ceil(suspects / KEYS_OF_A_SET);
  for (let part = 0; part < parts; part++) {
    const set = new KeySet(parts === 1 ? suspects : KEYS_OF_A_SET);
    for (const { name, pieces } of keyListsOf(reader)) {
      let from = 0;
      for await (const keys of pieces) {
        const repeated = addSuspects(wordsOf(keys), sieve, set, part, parts);
        if (repeated >= 0)
          throw new EmbershardError(
            "CORRUPT",
            `${what}: key ${keys[repeated]} of ${name} ${from + repeated} came before: expected each key once`,
          );
        from += keys.length;
      }
    }
    onPass();
  }
}

// Loops of their own: within a generator or an asynchronous function they run unoptimized for long.

/** Adds keys that are in a part to `set`. */
function addPart(words: Uint32Array, set: KeySet, part: number, parts: number): void {
  for (let i = 0; i < words.length; i += 2) {
    const low = words[i];
    const high = words[i + 1];
    if (parts === 1 || partOf(low, high, parts) === part) set.add(low, high);
  }
}

/** Adds the keys of a part that share a cell of the sieve to `set`. Returns the place of the first one that it has, or -1. */
function addSuspects(words: Uint32Array, sieve: KeySieve, set: KeySet, part: number, parts: number): number {
  for (let i = 0; i < words.length; i += 2) {
    const low = words[i];
    const high = words[i + 1];
    if (!sieve.shares(low, high) || (parts > 1 && partOf(low, high, parts) !== part)) continue;
    if (!set.add(low, high)) return i / 2;
  }
  return -1;
}

function keyListsOf(reader: RowReader) {
  return [
    { name: "row", pieces: reader.keys() },
    { name: "removed row", pieces: reader.removed() },
  ] as const;
}

/** Reads all rows and demands that every number is finite. @throws NON_FINITE, CORRUPT */
export async function demandFinite(
  what: string,
  reader: RowReader,
  wanted: WantedColumns,
  onRows: (done: number) => void,
): Promise<void> {
  let from = 0;
  for await (const batch of reader.batches(wanted)) {
    demandFiniteRows(what, reader, batch, from);
    from += batch.keys.length;
    onRows(from);
  }
}

/** Demands that every number of a batch, whose first row is row `from` of the file, is finite. @throws NON_FINITE */
export function demandFiniteRows(
  what: string,
  { dim, stateFloats, counterFloats }: RowReader,
  { keys, rows, state, counters }: RowColumns,
  from: number,
): void {
  const columns = [
    ["weights", rows, dim] as const,
    ...(state ? [["state", state, stateFloats] as const] : []),
    ...(counters ? [["counters", counters, counterFloats] as const] : []),
  ];
  for (const [name, floats, width] of columns) {
    const bad = name === "counters" ? firstNoCount(floats) : firstNonFinite(floats);
    if (bad < 0) continue;
    const row = Math.floor(bad / width);
    throw new EmbershardError(
      "NON_FINITE",
      `${what}: the ${name} of row ${from + row}, key ${keys[row]}, are ${floats[bad]} at element ${bad % width} (as float32); nothing was changed`,
    );
  }
}

/** The place of the first float that is not finite or below 0, or -1. */
function firstNoCount(floats: Float32Array): number {
  return floats.findIndex((value) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
}

/** @throws INVALID_ARGUMENT when the table has one of the file's keys. */
export async function demandAbsent(what: string, reader: RowReader, table: TransferTable): Promise<void> {
  if ((await table.stats()).rows === 0) return;
  for (const { pieces } of keyListsOf(reader)) {
    for await (const keys of pieces) {
      const there = (await table.contains(keys)).indexOf(1);
      if (there < 0) continue;
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `${what}: key ${keys[there]} has a row in "${table.name}" already; nothing was changed. Import with existing: "merge" or "replace", or into another table`,
      );
    }
  }
}
