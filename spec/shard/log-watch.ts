// What a shard's log takes, told as it takes it.
import { decodeRows, RECORD, SECTION, type Section } from "../../lib/shard/records.js";
import type { Shard } from "../../lib/shard/shard.js";
import type { ShardLog } from "../../lib/shard/shard-state.js";

export interface LogWatcher {
  /** Rows that a table, by its number, has let go. */
  readonly evicted: (table: number, keys: readonly bigint[]) => void;
  /** A record of something that was asked for. */
  readonly asked: (type: number) => void;
}

/** Kinds of sections of what a shard does by itself. */
const ownKinds: ReadonlySet<number> = new Set([
  SECTION.evict,
  SECTION.promote,
  SECTION.demote,
  SECTION.evictCold,
]);

export function watchLog(shard: Shard, { evicted, asked }: LogWatcher): void {
  const log = shard.state.log as { append: ShardLog["append"] };
  const append = log.append.bind(log);
  log.append = (type, flags, given) => {
    const lsn = append(type, flags, given);
    const parts = type === RECORD.rows ? decodeRows(Buffer.concat(given as Uint8Array[]))!.parts : [];
    if (parts.length === 0 || parts.some(({ kind }) => !ownKinds.has(kind))) asked(type);
    else for (const part of parts) if (isEviction(part)) evicted(part.table, keysOf(part));
    return lsn;
  };
}

function isEviction({ kind }: Section): boolean {
  return kind === SECTION.evict || kind === SECTION.evictCold;
}

function keysOf({ kind, n, keys, values }: Section): bigint[] {
  // Of cold ones behind their digest.
  const bytes = kind === SECTION.evictCold ? values.subarray(8) : keys.subarray(0, 8 * n);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i, true));
}
