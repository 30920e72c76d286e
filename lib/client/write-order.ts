// What may be on its way at once: of two writes to a slot the later one is sent when the fate of the earlier one is known.
import { assert } from "../base/assert.js";

/** A write to slots of an owner. */
export interface SlotRange {
  readonly owner: number;
  /** Epoch of the map by which it went to that owner. */
  readonly epoch: number;
  readonly first: number;
  /** Inclusive. */
  readonly last: number;
  readonly sequence: number;
}

/** A write's place in the order. */
export interface Place {
  /** To be called when the write's fate is known. */
  readonly leave: () => void;
  /** Resolves when it may be sent; undefined where that is now. */
  readonly turn: Promise<void> | undefined;
}

/** A write to an owner's slots, or, without one, all that went by earlier maps. */
class Entry {
  readonly sequence: number;
  readonly owner: number | undefined;
  /** Entries right before it that are not over. */
  waitsFor = 0;
  left = false;
  readonly followers: Entry[] = [];
  go = () => {};

  constructor(sequence: number, owner?: number) {
    this.sequence = sequence;
    this.owner = owner;
  }

  follow(before: Entry): void {
    before.followers.push(this);
    this.waitsFor++;
  }

  /** Its fate is known, and so is that of all before it. */
  get over(): boolean {
    return this.left && this.waitsFor === 0;
  }
}

/** Slots whose last write is `entry`. */
interface Run {
  readonly first: number;
  readonly last: number;
  readonly entry: Entry;
}

/**
 * Keeps the writes of a worker in order by slot. A shard knows a write that comes again by its sequence, which must be the
 * highest that its slots have seen: a later write may not overtake an earlier one that may still have to be sent again.
 *
 * Each waits for those right before it alone, however many there are: one that gives up before its turn stays in the way of
 * those behind it until those before it are over.
 */
export class WriteOrder {
  /** By owner: who wrote last to slots that somebody is writing to. No two of them overlap. */
  readonly #runs = new Map<number, Run[]>();
  #epoch = 0;
  #sequence = 0;
  /** Stands for all that went by earlier maps: slots of different owners are different ones only as long as both go by one. */
  #earlier: Entry | undefined;
  #size = 0;

  /** The number of the next write. It takes its places before another is numbered. */
  nextSequence(): number {
    return ++this.#sequence;
  }

  /** Whether writes are on their way. */
  get busy(): boolean {
    return this.#size > 0;
  }

  /** Takes a place in the order. Demands that sequences rise for each slot. */
  enter(range: SlotRange): Place {
    if (range.epoch !== this.#epoch) this.#beginEpoch(range.epoch);
    const entry = new Entry(range.sequence, range.owner);
    if (this.#earlier) entry.follow(this.#earlier);
    this.#runs.set(range.owner, this.#putIn(range, entry));
    this.#size++;
    const turn =
      entry.waitsFor === 0
        ? undefined
        : new Promise<void>((resolve) => {
            entry.go = resolve;
          });
    return {
      turn,
      leave: () => {
        if (entry.left) return;
        entry.left = true;
        this.#size--;
        if (entry.over) this.#end(entry);
      },
    };
  }

  /** The runs of an owner with `entry` in its place; it follows those whose slots it takes. */
  #putIn({ owner, first, last, sequence }: SlotRange, entry: Entry): Run[] {
    const runs: Run[] = [];
    const before = new Set<Entry>();
    const keep = (from: number, to: number, of: Entry) => {
      if (from <= to) runs.push({ first: from, last: to, entry: of });
    };
    for (const run of this.#runs.get(owner) ?? []) {
      if (run.first <= last && first <= run.last) before.add(run.entry);
      keep(run.first, Math.min(run.last, first - 1), run.entry);
      keep(Math.max(run.first, last + 1), run.last, run.entry);
    }
    for (const one of before) {
      assert(one.sequence < sequence, "writes to a slot enter in the order of their sequences");
      entry.follow(one);
    }
    runs.push({ first, last, entry });
    return runs;
  }

  #beginEpoch(epoch: number): void {
    this.#epoch = epoch;
    const earlier = new Entry(0);
    earlier.left = true;
    if (this.#earlier) earlier.follow(this.#earlier);
    const all = new Set([...this.#runs.values()].flat().map(({ entry }) => entry));
    for (const entry of all) earlier.follow(entry);
    this.#runs.clear();
    this.#earlier = earlier.over ? undefined : earlier;
  }

  /** Has those go on that waited for it, and those behind that have given up meanwhile. */
  #end(entry: Entry): void {
    for (const over = [entry]; over.length > 0; ) {
      const one = over.pop() as Entry;
      this.#forget(one);
      for (const follower of one.followers) {
        if (--follower.waitsFor > 0) continue;
        follower.go();
        if (follower.left) over.push(follower);
      }
    }
  }

  #forget(entry: Entry): void {
    const { owner } = entry;
    if (owner === undefined) {
      if (entry === this.#earlier) this.#earlier = undefined;
      return;
    }
    const rest = (this.#runs.get(owner) ?? []).filter((run) => run.entry !== entry);
    if (rest.length > 0) this.#runs.set(owner, rest);
    else this.#runs.delete(owner);
  }
}
