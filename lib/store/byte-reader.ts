/** Reads LevelDB's numbers and strings from a piece of memory, front to back. What runs over the end gives NaN or undefined. */
export class ByteReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;

  /** Reads bytes `from`, inclusive, to `end`, exclusive. */
  constructor(bytes: Uint8Array, from = 0, end = bytes.length) {
    this.bytes = bytes;
    this.at = from;
    this.end = end;
  }

  get done(): boolean {
    return this.at >= this.end;
  }

  /** A varint of at most 64 bits; NaN where it does not end or is no safe integer. */
  varint(): number {
    let value = 0;
    let factor = 1;
    for (let i = 0; i < 10; i++) {
      if (this.at >= this.end) return Number.NaN;
      const byte = this.bytes[this.at++];
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value <= Number.MAX_SAFE_INTEGER ? value : Number.NaN;
      factor *= 128;
    }
    return Number.NaN;
  }

  /** The next `length` bytes, a view. */
  take(length: number): Uint8Array | undefined {
    if (!(length <= this.end - this.at)) return undefined;
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** A string behind its length, a view. */
  string(): Uint8Array | undefined {
    return this.take(this.varint());
  }
}
