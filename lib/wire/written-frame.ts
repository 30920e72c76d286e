import { assert } from "../base/assert.js";
import { bytesOf, type Chunk, chunkBytes } from "./bulk.js";

/** A stretch of a message: bytes of the writer, or a chunk of bulk that lies elsewhere. */
interface Piece {
  readonly at: number;
  readonly bytes: number;
  /** Where it begins in the writer's memory. */
  readonly from: number;
  readonly chunk?: Chunk;
}

/** A frame that was written: borrowed from its writer until that writes the next one. */
export class WrittenFrame {
  readonly #pieces: Piece[] = [];
  #writer: Uint8Array = new Uint8Array(0);
  #end = 0;
  #frontBytes = -1;

  /** Bytes of the message. */
  get bytes(): number {
    return this.#end;
  }

  /**
   * Bytes before the first room or, without room, before the first element of bulk: a multiple of 8. Of a frame without
   * bulk, all.
   */
  get frontBytes(): number {
    return this.#frontBytes < 0 ? this.#end : this.#frontBytes;
  }

  /** The message in parts, for sending: views over the writer and over the bulk. There may be no room in it. */
  parts(): Uint8Array[] {
    return this.#pieces.map((piece) => {
      assert(
        !piece.chunk || ArrayBuffer.isView(piece.chunk),
        "a frame with room is copied to where its room is filled",
      );
      return this.#bytesOf(piece) as Uint8Array;
    });
  }

  /** As `parts`, for who keeps them beyond the next frame: what lies in the writer is copied, bulk is not. */
  partsToKeep(): Uint8Array[] {
    return this.parts().map((part, i) => (this.#pieces[i].chunk ? part : part.slice()));
  }

  /** The message in one array of its own. Room is zeros. */
  toBytes(): Uint8Array {
    const bytes = new Uint8Array(this.#end);
    this.copyTo(bytes, 0);
    return bytes;
  }

  /**
   * Writes the message into `into` from byte `at` on, and leaves alone what is room: rows that were gathered at A are preceded
   * by their front with `copyTo(memory, A - frontBytes)`, and the message is `memory.subarray(A - frontBytes, ... + bytes)`.
   */
  copyTo(into: Uint8Array, at: number): void {
    for (const piece of this.#pieces) {
      const bytes = this.#bytesOf(piece);
      if (bytes) into.set(bytes, at + piece.at);
    }
  }

  /** Of the writer: bytes of its memory come next. */
  add(from: number, to: number): void {
    this.#pieces.push({ at: this.#end, bytes: to - from, from });
    this.#end += to - from;
  }

  /** Of the writer: a chunk comes next. */
  addChunk(chunk: Chunk): void {
    if (!ArrayBuffer.isView(chunk) && !this.#roomSeen) {
      this.#roomSeen = true;
      this.#frontBytes = this.#end;
    }
    this.#pieces.push({ at: this.#end, bytes: chunkBytes(chunk), from: 0, chunk });
    this.#end += chunkBytes(chunk);
  }

  /** Of the writer: the elements of a bulk vector begin at this position. */
  beginBulk(position: number): void {
    if (this.#frontBytes < 0) this.#frontBytes = position;
  }

  /** Of the writer: the memory that its pieces lie in, and the length of the message. */
  end(writer: Uint8Array, bytes: number): void {
    assert(bytes === this.#end, "pieces add up to the message");
    this.#writer = writer;
  }

  #roomSeen = false;

  #bytesOf({ from, bytes, chunk }: Piece): Uint8Array | undefined {
    if (!chunk) return this.#writer.subarray(from, from + bytes);
    return ArrayBuffer.isView(chunk) ? bytesOf(chunk) : undefined;
  }
}
