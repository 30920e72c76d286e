// Telling connections of rows that are evicted.
import type { EvictedRows } from "../api/row-batches.js";
import type { EmbershardError } from "../base/errors.js";
import type { ArenaTable } from "../table/arena-table.js";
import { EvictionReason, type WatchEvicted } from "../wire/generated/frame-types.js";
import type { Answer } from "./request-context.js";
import { noRows, rowBytesOf, rowsFitting, rowsInColumns } from "./row-batches.js";
import type { ServedConnection } from "./served-connection.js";

/** Bytes of evicted rows that may wait for the reader of a connection; more are not told, but counted. */
export const mostWaitingBytes = 16 << 20;

const reasons = {
  capacity: EvictionReason.Capacity,
  age: EvictionReason.Age,
  norm: EvictionReason.Norm,
  request: EvictionReason.Request,
} as const;

/** Who watches on one connection, and how much of what they were told is still to be taken. */
export class Watches {
  readonly #ends = new Set<(error: EmbershardError) => void>();
  /** What was told: where it ends in the bytes of the connection, and how many they are. Those before `#first` have gone. */
  #told: { readonly end: number; readonly bytes: number }[] = [];
  #first = 0;
  #waiting = 0;

  /** Bytes that wait, when `goneBytes` of what the connection has sent have gone. */
  waitingBytes(goneBytes: number): number {
    while (this.#first < this.#told.length && this.#told[this.#first].end <= goneBytes)
      this.#waiting -= this.#told[this.#first++].bytes;
    if (2 * this.#first >= this.#told.length) {
      this.#told = this.#told.slice(this.#first);
      this.#first = 0;
    }
    return this.#waiting;
  }

  noteTold(end: number, bytes: number): void {
    this.#told.push({ end, bytes });
    this.#waiting += bytes;
  }

  /** Takes what ends a watch with an error; returns what forgets it. */
  add(end: (error: EmbershardError) => void): () => void {
    this.#ends.add(end);
    return () => void this.#ends.delete(end);
  }

  /** Ends all: they would not end by themselves. */
  end(error: EmbershardError): void {
    for (const end of [...this.#ends]) end(error);
  }
}

export const answerWatchEvicted: Answer<WatchEvicted> = (context, { id, body }, connection) => {
  const table = context.tables.demand(body.table, body.fingerprint);
  const rowsOfFrame = rowsFitting(rowBytesOf(table), connection.frameBytes);
  const watch = new Watch(id, table, rowsOfFrame, connection);
  return new Promise<void>((resolve, reject) => {
    const unlisten = context.shard.onEvicted(table, (rows) => watch.tell(rows));
    const forget = connection.watches.add((error) => {
      unlisten();
      forget();
      reject(error);
    });
    connection.whenOver(id, () => {
      unlisten();
      forget();
      resolve();
    });
  });
};

class Watch {
  readonly #id: number;
  readonly #table: ArenaTable;
  readonly #rowsOfFrame: number;
  readonly #connection: ServedConnection;
  /** Rows that were not told. */
  #missed = 0;
  #reporting = false;

  constructor(id: number, table: ArenaTable, rowsOfFrame: number, connection: ServedConnection) {
    this.#id = id;
    this.#table = table;
    this.#rowsOfFrame = rowsOfFrame;
    this.#connection = connection;
  }

  tell(rows: EvictedRows): void {
    const n = rows.keys.length;
    for (let from = 0; from < n; from += this.#rowsOfFrame)
      this.#tell(n <= this.#rowsOfFrame ? rows : partOf(rows, from, Math.min(n, from + this.#rowsOfFrame)));
  }

  #tell(rows: EvictedRows): void {
    const { watches, goneBytes } = this.#connection;
    if (watches.waitingBytes(goneBytes) >= mostWaitingBytes) {
      this.#missed += rows.keys.length;
      if (!this.#reporting) void this.#report();
      return;
    }
    const before = this.#connection.sentBytes;
    const missed = this.#missed;
    this.#missed = 0;
    this.#connection.reply(
      this.#id,
      { kind: "Evicted", reason: reasons[rows.reason], rows: rowsInColumns(this.#table, rows), missed },
      true,
    );
    watches.noteTold(this.#connection.sentBytes, this.#connection.sentBytes - before);
  }

  /** Tells how many were missed when the reader has taken what waits, if no rows do before. */
  async #report(): Promise<void> {
    this.#reporting = true;
    await this.#connection.flowing();
    this.#reporting = false;
    const missed = this.#missed;
    this.#missed = 0;
    if (missed > 0) this.#connection.reply(this.#id, { kind: "Evicted", rows: noRows, missed }, true);
  }
}

function partOf(all: EvictedRows, from: number, to: number): EvictedRows {
  const n = all.keys.length;
  const part = <A extends Float32Array | Uint32Array>(column: A): A => {
    const width = column.length / n;
    return column.subarray(from * width, to * width) as A;
  };
  const { reason, keys, rows, state, frequency, lastStep, counters } = all;
  return {
    reason,
    keys: keys.subarray(from, to),
    rows: part(rows),
    state: part(state),
    frequency: part(frequency),
    lastStep: part(lastStep),
    ...(counters && {
      counters: Object.fromEntries(Object.entries(counters).map(([name, one]) => [name, part(one)])),
    }),
  };
}
