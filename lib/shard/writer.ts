// When writes are made: at once where nobody waits and nothing is missing, else in the order of their calls.
import type { ArenaTable } from "../table/arena-table.js";
import type { Checkpointing } from "./checkpointing.js";
import type { ColdTier } from "./cold-tier.js";
import type { Evicting } from "./evicting.js";
import type { Line } from "./line.js";
import type { Mover } from "./mover.js";
import type { Scans } from "./scanning.js";
import { guarded, type ShardState } from "./shard-state.js";
import { borrowedLengths, demandLengths, type RowWrite } from "./staging.js";
import type { Turns } from "./turns.js";
import { type Applied, boundBytes, type ShardRequest, tryWrite } from "./writing.js";

/** What writing needs of a shard. */
export interface WriterParts {
  readonly line: Line;
  readonly turns: Turns;
  readonly scans: Scans;
  readonly checkpointing: Checkpointing;
  readonly mover: Mover;
  readonly evicting: Evicting;
  readonly coldTier: ColdTier;
  /** What a table is now; undefined when it was dropped. */
  readonly present: (table: ArenaTable) => ArenaTable | undefined;
  /** @throws TABLE_NOT_FOUND */
  readonly demandThere: (table: ArenaTable, what: string) => void;
  /** @throws CLOSED, READ_ONLY */
  readonly demandWritable: () => void;
  readonly roomFor: (bytes: () => number) => Promise<void>;
  /** Waits until a record is as durable as told; undefined: it is already. */
  readonly reached: (durable: Promise<void> | undefined) => Promise<void>;
}

/** A write that has been made. */
export interface WrittenNow extends Pick<Applied, "touched" | "lsn" | "repeated"> {
  /** Resolves when it may be acknowledged; undefined: it may be at once. */
  readonly settled: Promise<void> | undefined;
}

export class Writer {
  readonly #state: ShardState;
  readonly #parts: WriterParts;

  constructor(state: ShardState, parts: WriterParts) {
    this.#state = state;
    this.#parts = parts;
  }

  /** Resolves when it may be acknowledged. See `Shard.write`. */
  async write(writes: readonly RowWrite[], request: ShardRequest): Promise<Applied> {
    this.#parts.demandWritable();
    const outcome = this.#attempt(writes, request) ?? (await this.#inLine(writes, request));
    const settled = this.#settle(writes, request, outcome);
    if (settled) await settled;
    const turn = this.#parts.turns.afterWrite();
    if (turn) await turn;
    return outcome;
  }

  /** See `Shard.tryWriteNow`. */
  tryWriteNow(writes: readonly RowWrite[], request: ShardRequest): WrittenNow | undefined {
    this.#parts.demandWritable();
    const outcome = this.#attempt(writes, request);
    if (outcome === undefined) return undefined;
    const { touched, lsn, repeated } = outcome;
    return { touched, lsn, repeated, settled: this.#settle(writes, request, outcome) };
  }

  /** Writes if that can be now; undefined where it must wait. */
  #attempt(writes: readonly RowWrite[], request: ShardRequest): Applied | undefined {
    const { line, coldTier, scans } = this.#parts;
    if (line.last !== undefined || !coldTier.admits(writes)) return undefined;
    if (this.#state.log.room(boundBytes(this.#state, writes, request)) !== undefined) return undefined;
    const outcome = guarded(this.#state, () => tryWrite(this.#state, scans, writes, request));
    return "full" in outcome ? undefined : outcome;
  }

  /** After a write: what is due because of it, and what its acknowledgement waits for. */
  #settle(
    writes: readonly RowWrite[],
    { ack }: ShardRequest,
    { lsn, bytes }: Applied,
  ): Promise<void> | undefined {
    const { checkpointing, mover, evicting, coldTier, present, reached } = this.#parts;
    checkpointing.noteLogged(bytes);
    mover.consider();
    for (const { table, keys } of writes) {
      // A rollback may have come first.
      const now = present(table);
      if (now) evicting.consider(now, keys.length);
    }
    coldTier.consider();
    const rooms: Promise<void>[] = [];
    for (const { table } of writes) {
      const now = present(table);
      const room = now && evicting.within(now);
      if (room) rooms.push(room);
    }
    const { log } = this.#state;
    const durable =
      lsn === 0 || ack === "memory" ? undefined : ack === "os" ? log.written(lsn) : log.synced(lsn);
    if (rooms.length === 0) return durable && reached(durable);
    return Promise.all(rooms).then(() => reached(durable));
  }

  #inLine(writes: readonly RowWrite[], request: ShardRequest): Promise<Applied> {
    const sizes = borrowedLengths(writes, request.mark);
    return this.#parts.line.do(() => this.#waitAndWrite(writes, request, sizes));
  }

  /** Writes as soon as there is room, in the log and in the arenas; meanwhile nobody else does. */
  async #waitAndWrite(
    writes: readonly RowWrite[],
    request: ShardRequest,
    sizes: readonly number[],
  ): Promise<Applied> {
    const { roomFor, coldTier, mover, scans, present } = this.#parts;
    await roomFor(() => 0);
    this.#demandUnchanged(writes, request, sizes);
    const prepared = await coldTier.prepare(writes);
    for (;;) {
      await roomFor(() => boundBytes(this.#state, writes, request));
      this.#demandUnchanged(writes, request, sizes);
      const now = prepared.map((write) => ({ ...write, table: present(write.table)! }));
      const outcome = guarded(this.#state, () => tryWrite(this.#state, scans, now, request));
      if (!("full" in outcome)) return outcome;
      await mover.relieve(outcome.full, roomFor);
    }
  }

  /** What was checked before waiting may hold no more: a table may be gone, and arrays that are borrowed may be, too. */
  #demandUnchanged(writes: readonly RowWrite[], request: ShardRequest, sizes: readonly number[]): void {
    for (const { table } of writes)
      this.#parts.demandThere(table, "was dropped while the write waited; nothing was changed");
    demandLengths(writes, request.mark, sizes);
  }
}
