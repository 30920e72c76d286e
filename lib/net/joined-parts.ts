/** Copies parts into `into`, one behind the other, from byte `at` on. */
export function copyParts(parts: readonly Uint8Array[], into: Uint8Array, at = 0): void {
  for (const part of parts) {
    into.set(part, at);
    at += part.length;
  }
}

/** Bytes of all parts together. */
export function lengthOf(parts: readonly Uint8Array[]): number {
  return parts.reduce((sum, part) => sum + part.length, 0);
}

/** Parts as one array of its own. */
export function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(lengthOf(parts));
  copyParts(parts, whole);
  return whole;
}

/** A piece that short neighbours are copied into is at most so long: a piece costs more than copying so few bytes. */
const blockBytes = 64 << 10;
/** Blocks that are kept for messages to come. */
const keptBlocks = 16;

/** A message in pieces, some of which lie in blocks. */
export interface Pieces {
  readonly pieces: readonly Uint8Array[];
  /** Gives the blocks back: the system has taken the message. */
  release(): void;
}

/**
 * Puts short neighbours among the parts of messages together, in blocks that are used again: memory that is made anew for each
 * message has the engine look for garbage all the time.
 */
export class PartJoiner {
  readonly #idle: Uint8Array[] = [];

  join(parts: readonly Uint8Array[]): Pieces {
    const pieces: Uint8Array[] = [];
    const blocks: Uint8Array[] = [];
    for (let from = 0; from < parts.length; ) {
      let bytes = parts[from].length;
      let to = from + 1;
      while (to < parts.length && bytes + parts[to].length <= blockBytes) bytes += parts[to++].length;
      if (to === from + 1) pieces.push(parts[from]);
      else {
        const block = this.#idle.pop() ?? new Uint8Array(blockBytes);
        blocks.push(block);
        copyParts(parts.slice(from, to), block);
        pieces.push(block.subarray(0, bytes));
      }
      from = to;
    }
    return {
      pieces,
      release: () => {
        for (const block of blocks) if (this.#idle.length < keptBlocks) this.#idle.push(block);
      },
    };
  }
}
