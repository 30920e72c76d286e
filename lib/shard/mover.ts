import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import type { Arena } from "../table/arena.js";
import { SectionList } from "./applying.js";
import type { Checkpointing } from "./checkpointing.js";
import {
  beginHandOver,
  type HandOver,
  halfOf,
  halvingLevel,
  moveNext,
  nextMove,
  noteOf,
  pagesToCome,
} from "./hand-over.js";
import { encodeJson, encodeRowsHeader, RECORD } from "./records.js";
import type { Scans } from "./scanning.js";
import { guarded, lastLsn, type ShardState } from "./shard-state.js";

/** Room in the log's buffer that beginning a hand-over takes, and moving one page of rows. */
const beginBytes = 8192;
const sliceBytes = 1 << 20;
/** Pages that are moved in one turn when nobody pushes. */
const turnPages = 4;
/** Arenas that grew together differ by less than this: one that has been halved since has half of what the others have. */
const alike = 0.75;
/** How often a hand-over looks whether a shard that is read-only has become writable. */
const idleMs = 100;

/** Hands half of an arena that fills up to a new one, between requests. */
export class Mover {
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  readonly #scans: Scans;
  #closed = false;
  /** The system gave no memory for a new arena when there was no need yet. */
  #refused = false;
  /** Why a hand-over cannot go on. */
  #stuck: EmbershardError | undefined;
  /** Pages that both arenas of the hand-over had in use when it was last seen to. */
  #usedPages = 0;

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
    const { moving } = this.#state.arenas;
    if (moving && this.#state.version === undefined) this.#start(moving);
  }

  close(): void {
    this.#closed = true;
  }

  /** After a write: keeps the hand-over that is under way ahead of it, or begins one if an arena is filling up. */
  consider(): void {
    const { arenas, log, held } = this.#state;
    if (held) return;
    if (arenas.moving) this.#keepAhead(arenas.moving);
    if (arenas.moving || arenas.all.length >= LIMITS.arenas) return;
    const filling = this.#mostFilling();
    // A checkpoint gives the pages of dropped tables back: no arena has to be halved for them.
    if (filling && this.#state.retired.length > 0) {
      this.#checkpointing.request();
      if (!this.#isFilling(filling, this.#retiredPages(filling))) return;
    }
    if (!filling || this.#refused || log.room(beginBytes) !== undefined) return;
    try {
      this.#begin(filling);
    } catch (error) {
      // There is room yet. Whoever finds none, later, is told why.
      if (!(error instanceof EmbershardError) || error.code !== "OUT_OF_MEMORY") throw error;
      this.#refused = true;
    }
  }

  /**
   * Moves pages for those that writes have taken, so that the hand-over ends before the room that its rows leave in the
   * new arena does: writes that follow each other closely may leave no other turn for it.
   */
  #keepAhead(moving: HandOver): void {
    const { from, to } = moving;
    const used = () => from.kernel.pagesUsed() + to.kernel.pagesUsed();
    const taken = used() - this.#usedPages;
    if (moving.done || taken <= 0) return;
    const spare = Math.max(1, to.kernel.pagesLeft() - pagesToCome(moving));
    const pages = Math.ceil((taken * (from.pagesEnd - moving.page)) / spare);
    for (let i = 0; i < pages && this.#canMove(moving); i++) this.#moveGuarded();
    this.#usedPages = used();
  }

  #canMove(moving: HandOver): boolean {
    if (this.#closed || this.#stuck || moving.done) return false;
    if (this.#state.broken || this.#state.held || this.#checkpointing.health.failure) return false;
    return this.#state.log.room(sliceBytes) === undefined;
  }

  /**
   * The arena that is halved next, if one is filling: of those that are much as full, one with the fewest pages, since
   * pages stay. So an arena that has grown late in one round grows late in the next, and those that never did never do.
   */
  #mostFilling(): Arena | undefined {
    const { all } = this.#state.arenas;
    const filling = all.find((arena) => this.#isFilling(arena));
    if (!filling) return undefined;
    const least = alike * this.#fullBytes(filling);
    return all
      .filter((arena) => this.#isLarge(arena) && this.#fullBytes(arena) >= least)
      .reduce((best, arena) => (arena.usedBytes() < best.usedBytes() ? arena : best), filling);
  }

  #isLarge({ pagesEnd }: Arena): boolean {
    return pagesEnd * PAGE_BYTES > this.#state.arenas.limitBytes / 2;
  }

  /** Bytes of an arena's pages, without places that rows have left. */
  #fullBytes(arena: Arena): number {
    return arena.usedBytes() - this.#freeBytes(arena);
  }

  /** Bytes of places that rows have left. */
  #freeBytes(arena: Arena): number {
    return [...this.#state.arenas.tables].reduce((sum, table) => sum + table.freeBytes(arena), 0);
  }

  /**
   * Whether it is an arena's turn to be halved. Places that rows have left are room, too: else it would be halved again
   * and again.
   */
  #isFilling(arena: Arena, morePages = 0): boolean {
    const { all, limitBytes } = this.#state.arenas;
    if (!this.#isLarge(arena)) return false;
    const enoughBytes = (1 - halvingLevel(all.length)) * limitBytes;
    const leftBytes = (arena.kernel.pagesLeft() + morePages) * PAGE_BYTES;
    if (leftBytes >= enoughBytes) return false;
    return leftBytes + this.#freeBytes(arena) < enoughBytes;
  }

  /** Pages of an arena that belong to dropped tables. */
  #retiredPages({ number }: Arena): number {
    return this.#state.retired.reduce(
      (sum, { pages }) => sum + pages.filter(({ arena }) => arena === number).length,
      0,
    );
  }

  /**
   * Makes room in an arena that is full: begins a hand-over, waits for the one under way, or has a checkpoint forget one
   * that is done, or dropped tables that have pages there. `roomFor` waits for room in the log.
   */
  async relieve(arena: Arena, roomFor: (bytes: () => number) => Promise<void>): Promise<void> {
    const { moving } = this.#state.arenas;
    if (moving?.done || this.#retiredPages(arena) > 0) {
      const [{ status, reason }] = (await Promise.allSettled([this.#checkpointing.write({})])) as [
        { status: string; reason?: unknown },
      ];
      // An I/O error makes the shard read-only: who waits for room is refused for that reason.
      if (status === "rejected" && !this.#checkpointing.health.failure) throw reason;
    } else if (!moving) {
      await roomFor(() => beginBytes);
      if (!this.#state.arenas.moving) this.#begin(arena);
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
    const moving = beginHandOver(arenas, note);
    log.append(RECORD.handOver, 0, [encodeJson(note)]);
    this.#start(moving);
  }

  #start(moving: HandOver): void {
    this.#usedPages = moving.from.kernel.pagesUsed() + moving.to.kernel.pagesUsed();
    void this.#run(moving);
  }

  /** Moves rows until all have moved, a page at a time, letting others run in between. */
  async #run(moving: HandOver): Promise<void> {
    for (;;) {
      await this.#state.pause();
      if (this.#closed || this.#state.broken || this.#stuck || moving.done) return;
      // The shard may have been rolled back.
      if (this.#state.arenas.moving !== moving) return;
      const room = this.#state.log.room(sliceBytes);
      if (this.#checkpointing.health.failure)
        await new Promise<void>((resolve) => this.#state.clock.after(idleMs, resolve));
      else if (room) await room;
      else for (let i = 0; i < turnPages && this.#canMove(moving); i++) this.#moveGuarded();
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

  /**
   * Every row has moved. Of logged tables the log says so, and nothing has to be remembered. Rows of unlogged ones are where
   * the last checkpoint has them, for whoever recovers: it takes another to forget the hand-over.
   */
  #end(moving: HandOver): void {
    const { arenas, log, tables } = this.#state;
    if ([...tables.values()].every(({ definition }) => definition.logged)) {
      log.append(RECORD.handOver, 0, [encodeJson({ ...noteOf(moving), done: true })]);
      arenas.moving = undefined;
    } else this.#checkpointing.request();
  }

  #moveSlice(): void {
    const { arenas, log, draining } = this.#state;
    const moving = arenas.moving!;
    const next = nextMove(arenas, moving);
    if (!next) {
      this.#end(moving);
      return;
    }
    const { to } = moving;
    const bound = to.kernel.pagesFor(next.table.index, next.n);
    if (!to.commit(bound) && !to.commit(next.table.pagesFor(to, next.n))) {
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
