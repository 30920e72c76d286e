/** What may go wrong between two hosts of a loopback network, in one direction. Nothing that TCP would not let happen. */
export interface LinkFaults {
  /** Least and most time that a message takes, drawn for each. Order within a connection is kept, across connections not. */
  readonly delayMs: readonly [least: number, most: number];
  /** Bytes that pass in a millisecond. 0: as many as there are. */
  readonly bytesPerMs: number;
  /**
   * Chance of each message that its connection is cut at it: before it, in the middle of it or after it. Each end hears of that
   * at its own time, and what was under way before may still arrive, after the sender has connected anew.
   */
  readonly cut: number;
  /** Chance of each attempt to connect in this direction that it is refused. */
  readonly refuse: number;
  /** Nothing passes, and nobody is told. What was sent waits, and arrives if this ends before an end gives up. */
  readonly blackHole: boolean;
}

export const NO_FAULTS: LinkFaults = { delayMs: [0, 0], bytesPerMs: 0, cut: 0, refuse: 0, blackHole: false };
