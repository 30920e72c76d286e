// Valid frames with changes: each is refused with a coded error, or read without a byte from outside of it.
import { EmbershardError } from "../../lib/base/errors.js";
import type { Prng } from "../../lib/base/prng.js";
import { columnPlaces, elementBytes, float32Column } from "../../lib/wire/columns.js";
import type { Frame, Terms } from "../../lib/wire/frame.js";
import { readFrame, readFront } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { kinds, sampleFrame } from "./sample-frames.js";

/** What became of a changed frame. */
export type FrameOutcome = "read" | "BAD_FRAME" | "PROTOCOL";

/** Bytes of canaries before and behind a frame: multiples of 8. */
const margin = 64;
const room = 1 << 16;

/** Changes frames and reads them. */
export class MutatedFrames {
  readonly #writer = new FrameWriter();
  /** The same message in two surroundings: what is read must not tell them apart. */
  readonly #surroundings = [0xaa, 0x55].map((canary) => new Uint8Array(room).fill(canary));

  /** Makes one frame, changes it and reads it. @throws Error that says what went wrong */
  one(random: Prng): FrameOutcome {
    const features = random.below(2) === 0 ? 0xffff_ffff : random.u32();
    const terms: Terms = { features, items: 1 + random.below(200) };
    let message = this.#sample(random);
    for (let times = 1 + random.below(3); times > 0; times--) message = this.#changed(message, random);
    return this.judge(message, random.below(message.length + 1), terms);
  }

  /** Reads a message, and the first `frontBytes` of it. @throws Error that says what went wrong */
  judge(message: Uint8Array, frontBytes: number, terms: Terms): FrameOutcome {
    const { length } = message;
    const read = (place: Uint8Array, at: number) => {
      place.fill(place[0], 0, length + 2 * margin);
      place.set(message, at);
      return attempt(() => insideOf(readFrame(place.subarray(at, at + length), terms), place, at, length));
    };
    const [place, other] = this.#surroundings;
    const whole = read(place, margin);
    const text = textOf(whole);
    if (textOf(read(other, margin)) !== text) throw new Error(`foreign bytes were read: ${text}`);
    if (textOf(read(place, margin + 3)) !== text) throw new Error(`out of alignment it is another: ${text}`);
    this.#judgeFront(message, frontBytes, terms, text);
    if (!(whole instanceof Error)) return "read";
    if (whole instanceof EmbershardError && (whole.code === "BAD_FRAME" || whole.code === "PROTOCOL"))
      return whole.code;
    throw new Error(`no coded error: ${whole.stack}`);
  }

  /** A front is refused as the whole is, waits for more, or says what the whole says. */
  #judgeFront(message: Uint8Array, frontBytes: number, terms: Terms, whole: string): void {
    const [place] = this.#surroundings;
    place.fill(place[0], 0, message.length + 2 * margin);
    place.set(message.subarray(0, frontBytes), margin);
    const front = attempt(() =>
      readFront(place.subarray(margin, margin + frontBytes), message.length, terms),
    );
    if (front === undefined) return;
    const text = textOf(front instanceof Error ? front : front.frame);
    if (front instanceof Error || front.outside === undefined) {
      if (text !== whole) throw new Error(`its first ${frontBytes} bytes say ${text}, all of it ${whole}`);
    } else if (!whole.startsWith("{"))
      throw new Error(`valid by its first ${frontBytes} bytes, and refused: ${whole}`);
  }

  #sample(random: Prng): Uint8Array {
    const frame = sampleFrame(kinds[random.below(kinds.length)], random);
    return this.#writer.write(frame).toBytes();
  }

  #changed(message: Uint8Array, random: Prng): Uint8Array {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    if (message.length < 8) return message;
    const at = random.below(message.length);
    const at4 = Math.min(at & ~3, (message.length & ~3) - 4);
    switch (random.below(8)) {
      case 0:
        return message.slice(0, at);
      case 1:
        message[at] ^= 1 << random.below(8);
        return message;
      case 2: {
        // Splice: the beginning of one, the end of another.
        const other = this.#sample(random);
        const from = random.below(other.length);
        const spliced = new Uint8Array(at + other.length - from);
        spliced.set(message.subarray(0, at));
        spliced.set(other.subarray(from), at);
        return spliced;
      }
      case 3: // Lie about a length, or an offset.
        view.setUint32(at4, interesting[random.below(interesting.length)], true);
        return message;
      case 4: // A little longer or shorter.
        view.setUint32(at4, view.getUint32(at4, true) + random.below(9) - 4, true);
        return message;
      case 5: // Nest: refer to anything.
        view.setUint32(at4, random.below(message.length), true);
        return message;
      case 6: // A vtable's entry.
        view.setUint16(at & ~1 & ~1 && Math.min(at & ~1, message.length - 2), random.below(64), true);
        return message;
      default: {
        const longer = new Uint8Array(message.length + random.below(32));
        longer.set(message);
        return longer;
      }
    }
  }
}

const interesting = [
  0, 1, 3, 4, 7, 8, 0x7f, 0xff, 0xffff, 0x10000, 0x1fff_ffff, 0x2000_0000, 0x4000_0000, 0x7fff_ffff,
  0x8000_0000, 0xffff_fff0, 0xffff_fffc, 0xffff_ffff,
];

function attempt<T>(read: () => T): T | Error {
  try {
    return read();
  } catch (error) {
    return error as Error;
  }
}

/** Sees that all arrays lie inside of the message, and that its columns do. */
function insideOf(frame: Frame, place: Uint8Array, at: number, messageBytes: number): Frame {
  const walk = (value: unknown): void => {
    if (ArrayBuffer.isView(value)) {
      if (value.buffer !== place.buffer) return; // a copy; foreign bytes in it would differ between surroundings
      if (value.byteOffset < at || value.byteOffset + value.byteLength > at + messageBytes)
        throw new Error(
          `a view of ${value.byteLength} bytes from ${value.byteOffset - at} of ${messageBytes}`,
        );
    } else if (typeof value === "object" && value !== null) for (const one of Object.values(value)) walk(one);
  };
  walk(frame);
  const { body } = frame;
  if (body.kind === "Push" || body.kind === "Assign" || body.kind === "Rows") {
    let from = 0;
    for (const part of body.parts) {
      const { end, values, scales } = columnPlaces(part, from);
      const numbers = part.count * part.dim;
      if (part.element === 0 && values >= 0) walk(float32Column(body.data, values, numbers));
      else if (values + numbers * elementBytes(part.element) > body.data.length)
        throw new Error(`${numbers} numbers from ${values} of ${body.data.length} bytes`);
      if (scales >= 0) walk(float32Column(body.data, scales, part.count));
      from = end;
    }
  }
  return frame;
}

function textOf(value: Frame | Error): string {
  if (value instanceof EmbershardError) return `${value.code}: ${value.message}`;
  if (value instanceof Error) return String(value.stack);
  return JSON.stringify(value, (_, one) => {
    if (typeof one === "bigint") return `${one}n`;
    if (typeof one === "number" && !Number.isFinite(one)) return String(one);
    return ArrayBuffer.isView(one)
      ? `${one.constructor.name} ${Buffer.from(one.buffer, one.byteOffset, one.byteLength).toString("hex")}`
      : one;
  });
}
