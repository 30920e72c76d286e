// Reads cold rows as docs/formats/cold-rows.md says.
import type { Level } from "level";
import xxhash from "xxhash-wasm";
import { demand, viewOf } from "./log-file-reader.js";

const { h64Raw } = await xxhash();

/** What is known of a table's cold rows. */
interface Known {
  rows: number;
  digest: bigint;
  readonly deleted: Set<bigint>;
}

/** A section of a record, as far as cold rows go. */
export interface ColdSection {
  readonly table: number;
  readonly kind: number;
  readonly keys: readonly bigint[];
  readonly values: Uint8Array;
}

export class ColdReader {
  readonly #values = new Map<number, Map<bigint, Uint8Array>>();
  readonly #known = new Map<number, Known>();

  async read(pages: Level<Uint8Array, Uint8Array>): Promise<void> {
    for await (const [key, value] of pages.iterator({ gte: Uint8Array.of(4), lt: Uint8Array.of(5) })) {
      demand(key.length === 13, "a cold row's key");
      const table = viewOf(key).getUint32(1);
      const rows = this.#values.get(table) ?? new Map<bigint, Uint8Array>();
      this.#values.set(table, rows);
      rows.set(viewOf(key).getBigUint64(5), value);
    }
  }

  begin(notes: readonly { table: number; rows: number; digest: string }[]): void {
    for (const { table, rows, digest } of notes)
      this.#known.set(table, { rows, digest: BigInt(digest), deleted: new Set() });
  }

  apply({ table, kind, keys, values }: ColdSection): void {
    const known = this.#known.get(table) ?? { rows: 0, digest: 0n, deleted: new Set<bigint>() };
    this.#known.set(table, known);
    if (kind === 11) {
      known.rows += keys.length;
      known.digest += viewOf(values).getBigUint64(0, true);
    } else if (kind === 10) {
      const bytes = values.length / keys.length;
      known.rows -= keys.length;
      for (let i = 0; i < keys.length; i++) {
        const record = values.slice(i * bytes, (i + 1) * bytes);
        record[11] &= 0xbf;
        known.digest -= h64Raw(record, BigInt(table));
      }
    }
    if (kind === 12) {
      const view = viewOf(values);
      known.digest -= view.getBigUint64(0, true);
      for (let at = 8; at < values.length; at += 8, known.rows--)
        known.deleted.add(view.getBigUint64(at, true));
    }
    for (const key of keys) {
      if (kind === 5 || kind === 7) known.deleted.add(key);
      if (kind === 6 || kind === 11) known.deleted.delete(key);
    }
  }

  /** The records of a table's cold rows, given which keys are resident. */
  rowsOf(table: number, bytes: number, isResident: (key: bigint) => boolean): Map<bigint, Uint8Array> {
    const known = this.#known.get(table) ?? { rows: 0, digest: 0n, deleted: new Set<bigint>() };
    const rows = new Map<bigint, Uint8Array>();
    let digest = 0n;
    for (const [key, value] of this.#values.get(table) ?? []) {
      if (isResident(key) || known.deleted.has(key)) continue;
      const view = viewOf(value);
      const record = value.slice(24);
      const sealed = view.getBigUint64(16, true);
      const lsn = sealed & 0xffff_ffff_ffffn;
      const mixed = BigInt.asUintN(64, (lsn ^ view.getBigUint64(8, true)) * 0x9e37_79b9_7f4a_7c15n);
      demand(sealed >> 48n === mixed >> 48n, "the check of the LSN of a cold row's value");
      demand(
        Buffer.from(value.subarray(0, 4)).toString() === "ECR1" && view.getUint32(4, true) === bytes,
        "a cold row's header",
      );
      demand(record.length === bytes && viewOf(record).getBigUint64(0, true) === key, "a cold row's key");
      demand(view.getBigUint64(8, true) === h64Raw(record, BigInt(table)), "a cold row's checksum");
      demand((record[11] & 0xc0) === 0x80, "a cold row's bits");
      digest += view.getBigUint64(8, true);
      rows.set(key, record);
    }
    demand(rows.size === known.rows, `table ${table} has ${rows.size} cold rows, not ${known.rows}`);
    demand(
      BigInt.asUintN(64, digest) === BigInt.asUintN(64, known.digest),
      `the digest of table ${table}'s cold rows`,
    );
    return rows;
  }
}
