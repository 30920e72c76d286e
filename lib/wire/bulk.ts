// What a writer is given for the vectors at a frame's end.

/** Room in a frame for what is there already, or will be: so many bytes. */
export interface Room {
  readonly bytes: number;
}

/** Some consecutive bytes of a vector: a view, borrowed while the written frame is, or room. */
export type Chunk = ArrayBufferView | Room;

/**
 * The content of a vector that lies at the end of a frame: an array, or what it is put together of. The chunks of a vector
 * of bytes are columns: each begins at a multiple of 8 bytes. Those of other vectors follow each other.
 */
export type Bulk<T extends ArrayBufferView> = T | Room | readonly Chunk[];

/** The chunks of a vector. */
export function chunksOf(bulk: Bulk<ArrayBufferView>): readonly Chunk[] {
  return Array.isArray(bulk) ? (bulk as readonly Chunk[]) : [bulk as Chunk];
}

export function chunkBytes(chunk: Chunk): number {
  return ArrayBuffer.isView(chunk) ? chunk.byteLength : chunk.bytes;
}

/** The bytes of a chunk that is no room. */
export function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/** The next multiple of 8. */
export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
