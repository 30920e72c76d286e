// What is read of a store lies in three windows, used in turn for all of its files: while one is looked at, the others are
// filled: with one alone nothing would be read between the end of a read and the next turn of the event loop. Memory that no file was read into before costs more than reading into it.
import type { HashBlock } from "../base/hash-block.js";
import { createHashBlock } from "../kernel/hash-block.js";
import type { LevelFile, LevelFileDefect } from "../store/level-files.js";
import { type LevelBlock, readLevelTableIndex, trailerBytes } from "../store/level-table.js";

/** Bytes of a window, unless a block is longer. */
export const windowBytes = 2 << 20;

const windowCount = 3;

/** The windows. They grow when something longer is read. */
export class Windows {
  readonly #blocks: HashBlock[] = [];

  /** Window 0, 1 or 2, of `bytes` bytes at least; what it held may be lost. */
  at(turn: number, bytes: number): HashBlock {
    const known = this.#blocks[turn];
    if (known && known.bytes.length >= bytes) return known;
    this.#blocks[turn] = createHashBlock(Math.max(bytes, windowBytes));
    return this.#blocks[turn];
  }
}

/** A stretch of a table file with whole blocks. */
export interface TablePiece {
  readonly file: LevelFile;
  /** Where it begins in the file, and where it ends. */
  readonly from: number;
  readonly to: number;
  readonly blocks: readonly LevelBlock[];
}

/** Blocks of all tables, piece by piece, files in the order given; of a file without blocks there is one empty piece. */
export async function* piecesOf(
  files: readonly LevelFile[],
  defects: LevelFileDefect[],
): AsyncGenerator<TablePiece> {
  for (const file of files) {
    const { blocks, defects: found } = await readLevelTableIndex(file.bytes, file.read);
    for (const { offset, reason } of found) defects.push({ file: file.name, offset, reason, crash: false });
    let some: LevelBlock[] = [];
    let [from, to] = [0, 0];
    for (const block of blocks) {
      const end = block.offset + block.size + trailerBytes;
      if (some.length > 0 && (block.offset < to || end - from > windowBytes)) {
        yield { file, from, to, blocks: some };
        some = [];
      }
      if (some.length === 0) from = block.offset;
      some.push(block);
      to = end;
    }
    yield { file, from, to, blocks: some };
  }
}

/** Fills a window with each piece, the next two while one is used. A window holds its piece until the next is asked for. */
export async function* filledPieces(
  pieces: AsyncGenerator<TablePiece>,
  windows: Windows,
): AsyncGenerator<{ piece: TablePiece; window: HashBlock }> {
  const fill = async (turn: number) => {
    const { done, value: piece } = await pieces.next();
    if (done) return undefined;
    const length = piece.to - piece.from;
    const window = windows.at(turn, length);
    const filled = await piece.file.read(window.bytes.subarray(0, length), piece.from);
    if (filled < length) window.bytes.fill(0, filled, length);
    return { piece, window };
  };
  const filling: ReturnType<typeof fill>[] = [];
  const begin = (turn: number) => {
    const next = fill(turn % windowCount);
    // Awaited only when the pieces before it are done; it must not count as unhandled meanwhile.
    next.catch(() => undefined);
    filling.push(next);
  };
  try {
    for (let turn = 0; turn < windowCount - 1; turn++) begin(turn);
    for (let turn = windowCount - 1; ; turn++) {
      const filled = await filling.shift()!;
      if (!filled) return;
      begin(turn);
      yield filled;
    }
  } finally {
    // A read under way must not meet a closed file.
    await Promise.allSettled(filling);
  }
}
