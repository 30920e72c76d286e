// What may be on its way at once: of two writes to a slot the later one is sent when the fate of the earlier one is known.

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

interface Entry extends SlotRange {
  readonly settled: Promise<void>;
}

/**
 * Keeps the writes of a worker in order by slot. A shard knows a write that comes again by its sequence, which must be the
 * highest that its slots have seen: a later write may not overtake an earlier one that may still have to be sent again.
 */
export class WriteOrder {
  readonly #entries = new Set<Entry>();

  /** Whether writes are on their way. */
  get busy(): boolean {
    return this.#entries.size > 0;
  }

  /**
   * Takes a place in the order. Returns what to call when the write's fate is known, and a promise where earlier writes have
   * to be waited for.
   */
  enter(range: SlotRange): { readonly leave: () => void; readonly turn: Promise<void> | undefined } {
    const before = [...this.#entries].filter((entry) => precedes(entry, range));
    let leave = () => {};
    const settled = new Promise<void>((resolve) => {
      leave = resolve;
    });
    const entry: Entry = { ...range, settled };
    this.#entries.add(entry);
    return {
      leave: () => {
        this.#entries.delete(entry);
        leave();
      },
      turn: before.length === 0 ? undefined : Promise.all(before.map((one) => one.settled)).then(() => {}),
    };
  }
}

/** Slots of different owners are different ones, as long as both go by one map. */
function precedes(entry: Entry, range: SlotRange): boolean {
  if (entry.sequence >= range.sequence) return false;
  if (entry.epoch !== range.epoch) return true;
  return entry.owner === range.owner && entry.first <= range.last && range.first <= entry.last;
}
