// Every byte of the live records of logged tables, candidates among them: what a scan does not show must come back, too.
import { KIND_ROWS } from "../../lib/kernel/layout.js";
import type { Shard } from "../../lib/shard/shard.js";
import { parts } from "../../lib/table/candidates.js";

const headerBytes = 16;
const live = 0x8000_0000;

export class RecordDump {
  readonly #records: ReadonlyMap<string, Buffer>;

  constructor(records: ReadonlyMap<string, Buffer>) {
    this.#records = records;
  }

  /** The first record of this one that another lacks or has other bytes of, in words. */
  differenceFrom({ records }: { records: ReadonlyMap<string, Buffer> }): string | undefined {
    for (const [name, bytes] of this.#records) {
      const found = records.get(name);
      if (!found) return `record ${name} has not come back`;
      const at = bytes.findIndex((byte, i) => byte !== found[i]);
      if (at >= 0) return `record ${name}: byte ${at} is ${found[at]}, expected ${bytes[at]}`;
    }
    return this.#records.size === records.size
      ? undefined
      : `${records.size} records have come back, expected ${this.#records.size}`;
  }

  get records(): ReadonlyMap<string, Buffer> {
    return this.#records;
  }
}

/** By table, arena and key. */
export function recordsOf(shard: Shard): RecordDump {
  const records = new Map<string, Buffer>();
  const tables = [...shard.tables.values()].filter(({ definition }) => definition.logged).flatMap(parts);
  for (const table of tables) {
    for (const arena of shard.state.arenas.all) {
      for (let page = arena.firstPage; page < arena.pagesEnd; page++) {
        if (arena.pageKind(page) !== KIND_ROWS || arena.pageTable(page) !== table.index) continue;
        const bytes = Buffer.from(arena.pageBytes(page, arena.pagePlaces(page) * table.recordBytes));
        for (let at = 0; at + headerBytes <= bytes.length; at += table.recordBytes) {
          if ((bytes.readUInt32LE(at + 8) & live) === 0) continue;
          const name = `${table.definition.number}/${arena.number}/${bytes.readBigUInt64LE(at)}`;
          const record = Buffer.from(bytes.subarray(at, at + table.recordBytes));
          // Being clean is forgotten at an opening.
          record[11] &= 0xbf;
          records.set(name, record);
        }
      }
    }
  }
  return new RecordDump(records);
}
