import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import { SectionList } from "./applying.js";
import type { Checkpointing } from "./checkpointing.js";
import { beginHandOver, halfOf, moveNext, nextMove, noteOf } from "./hand-over.js";
import { encodeJson, encodeRowsHeader, RECORD } from "./records.js";
import type { Scans } from "./scanning.js";
import { guarded, lastLsn, type ShardState } from "./shard-state.js";

/** Room in the log's buffer that beginning a hand-over takes, and moving one page of rows. */
const beginBytes = 8192;
const sliceBytes = 1 << 20;
/** How often a hand-over looks whether a shard that is read-only has become writable. */
const idleMs = 100;

/** Hands half of an arena that fills up to a new one, between requests. */
export class Mover {
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  readonly #scans: Scans;
  #closed = false;
  #running = false;
  /** The system gave no memory for a new arena when there was no need yet. */
  #refused = false;
  /** Why a hand-over cannot go on. */
  #stuck: EmbershardError | undefined;

  constructor(state: ShardState, checkpointing: Checkpointing, scans: Scans) {
    this.#state = state;
    this.#checkpointing = checkpointing;
    this.#scans = scans;
    this.resume();
  }

  /** Goes on with a hand-over that is under way, after opening or in a state that was rolled back to. */
  resume(): void {
    this.#stuck = undefined;
    this.#refused = false;
    if (this.#state.arenas.moving && this.#state.version === undefined) void this.#run();
  }

  close(): void {
    this.#closed = true;
  }

  /** Begins a hand-over if an arena is filling up and none is under way. */
  consider(): void {
    const { arenas, log, held } = this.#state;
    if (held || arenas.moving || arenas.all.length >= LIMITS.arenas) return;
    const filling = arenas.all.find((arena) => this.#isFilling(arena));
    if (!filling || this.#refused || log.room(beginBytes) !== undefined) return;
    try {
      this.#begin(filling);
    } catch (error) {
      // There is room yet. Whoever finds none, later, is told why.
      if (!(error instanceof EmbershardError) || error.code !== "OUT_OF_MEMORY") throw error;
      this.#refused = true;
    }
  }

  /** Whether an arena is close to full. Places that rows have left are room, too: else it would be halved again and again. */
  #isFilling(arena: Arena): boolean {
    const { limitBytes, tables } = this.#state.arenas;
    const leftBytes = arena.kernel.pagesLeft() * PAGE_BYTES;
    if (leftBytes >= limitBytes / 16 || arena.pagesEnd * PAGE_BYTES <= limitBytes / 2) return false;
    const freeBytes = [...tables].reduce((sum, table) => sum + table.freeBytes(arena), leftBytes);
    return freeBytes < limitBytes / 16;
  }

  /**
   * Makes room in an arena that is full: begins a hand-over, waits for the one under way, or has a checkpoint forget one
   * that is done. `roomFor` waits for room in the log.
   */
  async relieve(arena: Arena, roomFor: (bytes: () => number) => Promise<void>): Promise<void> {
    const { moving } = this.#state.arenas;
    if (!moving) {
      await roomFor(() => beginBytes);
      if (!this.#state.arenas.moving) this.#begin(arena);
    } else if (moving.done) {
      const [{ status, reason }] = (await Promise.allSettled([this.#checkpointing.write({})])) as [
        { status: string; reason?: unknown },
      ];
      // An I/O error makes the shard read-only: who waits for room is refused for that reason.
      if (status === "rejected" && !this.#checkpointing.health.failure) throw reason;
    } else {
      while (!moving.done && !this.#closed && !this.#state.broken && !this.#checkpointing.health.failure) {
        if (this.#stuck) throw this.#stuck;
        await this.#state.pause();
      }
    }
  }

  #begin(from: Arena): void {
    const { arenas, log } = this.#state;
    const slots = halfOf(arenas, from);
    const note = noteOf({ from, to: arenas.add(), slots, page: 0, sketches: false, done: false });
    beginHandOver(arenas, note);
    log.append(RECORD.handOver, 0, [encodeJson(note)]);
    void this.#run();
  }

  /** Moves rows until all have moved, a page at a time, letting others run in between. */
  async #run(): Promise<void> {
    if (this.#running) return;
    this.#running = true;
    for (;;) {
      await this.#state.pause();
      const { moving } = this.#state.arenas;
      if (this.#closed || this.#state.broken || this.#stuck || !moving || moving.done) {
        this.#running = false;
        return;
      }
      const room = this.#state.log.room(sliceBytes);
      if (this.#checkpointing.health.failure)
        await new Promise<void>((resolve) => this.#state.clock.after(idleMs, resolve));
      else if (room) await room;
      else if (!this.#state.held) this.#moveGuarded();
    }
  }

  #moveGuarded(): void {
    try {
      guarded(this.#state, () => this.#moveSlice());
    } catch (error) {
      // The shard has stopped, and whoever calls it next is told.
      if (error !== this.#state.broken) throw error;
    }
  }

  #moveSlice(): void {
    const { arenas, log, draining } = this.#state;
    const moving = arenas.moving!;
    const next = nextMove(arenas, moving);
    if (!next) {
      this.#checkpointing.request();
      return;
    }
    const { to } = moving;
    if (to.kernel.commitPages(to.kernel.pagesFor(next.table.index, next.n)) === 0) {
      this.#stuck = new EmbershardError(
        "OUT_OF_MEMORY",
        `no memory for the rows that arena ${to.number} takes over: raise arenaBytes or the machine's memory`,
      );
      return;
    }
    to.refresh();
    const list = next.table.definition.logged || draining ? new SectionList() : undefined;
    const lsn = list ? log.nextLsn : lastLsn(this.#state);
    const moved = moveNext(moving, next, BigInt(lsn), list);
    for (const scan of this.#scans) scan.noteMoves(moved);
    if (list)
      log.append(RECORD.rows, 0, [
        encodeRowsHeader({ step: 0, time: 0, mark: undefined, sections: list.count }),
        ...list.parts,
      ]);
  }
}
