// Of one worker's session: the highest sequence of a push that each slot has had. Kept as runs of slots, since pushes come
// in frames that each cover a run.

/** Slots `first` to `last`, both inclusive. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
}

/** [first, last, highest sequence in decimal], as manifests have it. */
export type SlotSequenceNote = readonly [first: number, last: number, sequence: string];

interface Interval extends SlotRange {
  readonly sequence: bigint;
}

export class SlotSequences {
  /** Disjoint, ascending; neighbours that touch differ in their sequences. Slots that had none are in no interval. */
  #intervals: readonly Interval[] = [];

  static of(notes: readonly SlotSequenceNote[]): SlotSequences {
    const sequences = new SlotSequences();
    sequences.#intervals = notes.map(([first, last, sequence]) => ({
      first,
      last,
      sequence: BigInt(sequence),
    }));
    return sequences;
  }

  /** The highest of all; 0 where there is none. */
  get highest(): bigint {
    let highest = 0n;
    for (const { sequence } of this.#intervals) if (sequence > highest) highest = sequence;
    return highest;
  }

  /** Runs of slots that differ. */
  get size(): number {
    return this.#intervals.length;
  }

  /** The parts of a range that have not had this sequence, or a higher one. */
  left({ first, last }: SlotRange, sequence: bigint): SlotRange[] {
    const left: SlotRange[] = [];
    let from = first;
    for (const one of this.#intervals) {
      if (one.sequence < sequence || one.last < from) continue;
      if (one.first > last) break;
      if (one.first > from) left.push({ first: from, last: one.first - 1 });
      from = one.last + 1;
    }
    if (from <= last) left.push({ first: from, last });
    return left;
  }

  /** Notes that slots have had a sequence. A lower one changes nothing. */
  raise(range: SlotRange, sequence: bigint): void {
    const raised = this.left(range, sequence);
    if (raised.length === 0) return;
    const kept = this.#intervals.flatMap((one) => without(one, raised));
    const all = [...kept, ...raised.map((one) => ({ ...one, sequence }))].sort((a, b) => a.first - b.first);
    const merged: Interval[] = [];
    for (const one of all) {
      const before = merged.at(-1);
      if (before?.sequence === one.sequence && before.last + 1 === one.first)
        merged[merged.length - 1] = { ...before, last: one.last };
      else merged.push(one);
    }
    this.#intervals = merged;
  }

  notes(): SlotSequenceNote[] {
    return this.#intervals.map(({ first, last, sequence }) => [first, last, sequence.toString()]);
  }
}

/** What is left of an interval beside ascending ranges. */
function without(interval: Interval, ranges: readonly SlotRange[]): Interval[] {
  const { last, sequence } = interval;
  const parts: Interval[] = [];
  let from = interval.first;
  for (const range of ranges) {
    if (range.last < from || range.first > last) continue;
    if (range.first > from) parts.push({ first: from, last: range.first - 1, sequence });
    from = range.last + 1;
  }
  if (from <= last) parts.push({ first: from, last, sequence });
  return parts;
}
