// IEEE 754 binary16 on the wire: converted by the kernel, rounded to the nearest, ties to even.
import type { FramePart, GatheredFrame } from "./frame-gathering.js";
import { guarded, type ShardState } from "./shard-state.js";

/** f32[n] as f16, in a new u16[n]. */
export function toHalves(state: ShardState, values: Float32Array): Uint16Array {
  const { front } = state.arenas;
  const n = values.length;
  return guarded(state, () => {
    front.beginScratch(6 * n + 128);
    const from = front.takeScratch(4 * n);
    const into = front.takeScratch(2 * n);
    front.f32.set(values, from / 4);
    front.kernel.writeHalves(from, into, n);
    return front.u16.slice(into / 2, into / 2 + n);
  });
}

/** The f16 of u8[2 * n], little-endian, as a new f32[n]. */
export function fromHalves(state: ShardState, halves: Uint8Array): Float32Array {
  const { front } = state.arenas;
  const n = halves.length / 2;
  return guarded(state, () => {
    front.beginScratch(6 * n + 128);
    const from = front.takeScratch(2 * n);
    const into = front.takeScratch(4 * n);
    front.bytes.set(halves, from);
    front.kernel.readHalves(from, into, n);
    return front.f32.slice(into / 4, into / 4 + n);
  });
}

/** A column of a gathered frame: where it is, where it goes, and its bytes. */
interface Move {
  readonly from: number;
  readonly to: number;
  readonly bytes: number;
  /** Its floats become halves. */
  readonly halved: boolean;
}

const round8 = (bytes: number) => (bytes + 7) & ~7;

/** Bytes of a part's columns, in order. */
function columnsOf({ table, keys, state, counters = [] }: FramePart): number[] {
  const n = keys.length;
  const stateBytes = state && table.stateFloats > 0 ? [4 * n * table.stateFloats] : [];
  return [4 * n * table.dim, ...stateBytes, ...counters.map(() => 4 * n)];
}

/** Where columns that were gathered as f32 go when the weights of parts that say so are halved. */
function movesOf(parts: readonly FramePart[]): { moves: Move[]; end: number } {
  const moves: Move[] = [];
  let [from, to] = [0, 0];
  for (const part of parts)
    for (const [i, bytes] of columnsOf(part).entries()) {
      const halved = i === 0 && part.half === true;
      moves.push({ from: round8(from), to: round8(to), bytes, halved });
      from = round8(from) + bytes;
      to = round8(to) + (halved ? bytes / 2 : bytes);
    }
  return { moves, end: to };
}

/** Bytes of the columns of these parts, those that are to be halved as halves. */
export function sentBytes(parts: readonly FramePart[]): number {
  return movesOf(parts).end;
}

/** Halves what is to be halved of a gathered frame, closes its columns up, and zeroes what lies between them. */
export function halveFrame(
  { arenas: { front } }: ShardState,
  parts: readonly FramePart[],
  frontBytes: number,
  frame: GatheredFrame,
): GatheredFrame {
  const { moves, end } = movesOf(parts);
  const anyHalf = parts.some(({ half }) => half);
  let { bytes, found } = frame;
  if (anyHalf && bytes.buffer !== front.bytes.buffer) {
    // Of several arenas: put together outside of kernel memory.
    front.beginScratch(bytes.length + 128);
    const at = front.takeScratch(bytes.length);
    front.bytes.set(bytes, at);
    bytes = front.bytes.subarray(at, at + bytes.length);
  }
  let last = 0;
  for (const { from, to, bytes: length, halved } of moves) {
    bytes.fill(0, frontBytes + last, frontBytes + to);
    // It never moves up, so that nothing is written over before it is read.
    if (halved)
      front.kernel.writeHalves(
        bytes.byteOffset + frontBytes + from,
        bytes.byteOffset + frontBytes + to,
        length / 4,
      );
    else if (to !== from) bytes.copyWithin(frontBytes + to, frontBytes + from, frontBytes + from + length);
    last = to + (halved ? length / 2 : length);
  }
  return { bytes: bytes.subarray(0, frontBytes + end), found };
}
