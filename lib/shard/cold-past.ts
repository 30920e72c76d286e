// Cold rows as they were at an instant: values that were written by then and superseded later, if at all.
import { EmbershardError } from "../base/errors.js";
import type { PageStore } from "../store/page-store.js";
import type { Arena } from "../table/arena.js";
import type { ColdNote, ColdRows } from "./cold-rows.js";
import {
  checkColdValues,
  coldAndKeptKeys,
  damaged,
  decodeColdKey,
  decodeKeptKey,
  valueHeaderBytes,
  writtenAt,
} from "./cold-values.js";
import { containsRows } from "./reading.js";
import type { Recovered } from "./recovered.js";

/** A stored value of a row, with the LSNs between which it counted. */
export interface PastValue {
  readonly table: number;
  readonly key: bigint;
  readonly value: Uint8Array;
  readonly written: number;
  /** Since then it counts no more; undefined: it may count to this day. */
  readonly superseded: number | undefined;
}

/** Whether a value is the one that its row's key had at an LSN. */
export function isOf({ written, superseded }: PastValue, lsn: number): boolean {
  return written <= lsn && (superseded === undefined || lsn < superseded);
}

/** All values of cold rows, those that are kept for versions behind those of today, as of the first batch. @throws CORRUPT, IO */
export async function* pastValues(pages: PageStore): AsyncGenerator<readonly PastValue[]> {
  for await (const entries of pages.entries(coldAndKeptKeys)) {
    yield entries.map(({ key, value }) => {
      const kept = decodeKeptKey(key);
      const row = kept ?? decodeColdKey(key);
      if (!row)
        throw new EmbershardError(
          "CORRUPT",
          `the page store has a key of ${key.length} bytes among the cold rows that is none of ours`,
        );
      // What is too short to say so is read as one that counts, and found to be damaged.
      const written = value.length < valueHeaderBytes ? 0 : writtenAt(value);
      return { table: row.table, key: row.key, value, written, superseded: kept?.at };
    });
  }
}

/** Values of one table, checked, in columns. */
export interface PastRows {
  readonly cold: ColdRows;
  readonly keys: BigUint64Array;
  /** One behind the other. */
  readonly values: Uint8Array;
}

/** Those of some values whose rows are not resident, table by table; of tables that are not known nothing. @throws CORRUPT */
export function* countingRows(
  { arenas, cold }: Pick<Recovered, "arenas" | "cold">,
  values: readonly PastValue[],
): Generator<PastRows> {
  const tables = new Map<number, PastValue[]>();
  for (const one of values) {
    if (!cold.has(one.table)) continue;
    const some = tables.get(one.table);
    if (some) some.push(one);
    else tables.set(one.table, [one]);
  }
  for (const [number, some] of tables) {
    const rows = cold.get(number)!;
    const all = BigUint64Array.from(some, ({ key }) => key);
    const resident = new Uint8Array(all.length);
    containsRows(arenas, rows.table, all, resident);
    const there = some.filter((_, i) => resident[i] === 0);
    const keys = all.filter((_, i) => resident[i] === 0);
    yield { cold: rows, keys, values: joinChecked(arenas.front, rows, keys, there) };
  }
}

/** Values one behind the other. @throws CORRUPT where one is not that of its key */
export function joinChecked(
  front: Arena,
  rows: ColdRows,
  keys: BigUint64Array,
  there: readonly PastValue[],
): Uint8Array {
  const joined = new Uint8Array(there.length * rows.valueBytes);
  for (const [i, { key, value }] of there.entries()) {
    if (value.length !== rows.valueBytes) throw damaged(rows, key);
    joined.set(value, i * rows.valueBytes);
  }
  checkColdValues(front, rows, keys, joined);
  return joined;
}

/**
 * Reads the cold rows of an instant, whose tables and resident rows were recovered, hands them to `use`, and demands that
 * they are those that its notes say.
 *
 * @throws CORRUPT naming the table, IO, and what `use` throws
 */
export async function readPastRows(
  recovered: Pick<Recovered, "arenas" | "cold">,
  pages: PageStore,
  { lsn, notes }: { readonly lsn: number; readonly notes: readonly ColdNote[] },
  pause: () => Promise<void>,
  use: (rows: PastRows) => Promise<void> | void = () => {},
): Promise<void> {
  const found = new Map<number, { rows: number; digest: bigint }>();
  for await (const all of pastValues(pages)) {
    for (const rows of countingRows(
      recovered,
      all.filter((one) => isOf(one, lsn)),
    )) {
      const sum = found.get(rows.cold.table.definition.number) ?? { rows: 0, digest: 0n };
      found.set(rows.cold.table.definition.number, sum);
      sum.rows += rows.keys.length;
      const view = new DataView(rows.values.buffer);
      for (let i = 0; i < rows.keys.length; i++)
        sum.digest += view.getBigUint64(i * rows.cold.valueBytes + 8, true);
      await use(rows);
    }
    await pause();
  }
  for (const [number, { table }] of recovered.cold) {
    const note = notes.find((one) => one.table === number) ?? { rows: 0, digest: "0" };
    const { rows, digest } = found.get(number) ?? { rows: 0, digest: 0n };
    if (rows === note.rows && BigInt.asUintN(64, digest) === BigInt(note.digest)) continue;
    throw new EmbershardError(
      "CORRUPT",
      `the page store has ${rows} cold rows of table "${table.definition.name}", there were ${note.rows}${rows === note.rows ? " others" : ""}: restore the directory from a backup`,
    );
  }
}
