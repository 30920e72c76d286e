import { viewOf } from "./log-format.js";

// Entry: key bytes u32 | value bytes u32, or 2^32 - 1 for "no value" | key, zeros to a multiple of 8 | value, likewise.
const entryHeaderBytes = 8;
const noValue = 0xffff_ffff;

/** Keys and values packed into one memory that is handed from thread to thread without a copy. */
export class EntryBuffer {
  #bytes: Uint8Array<ArrayBuffer>;
  #view: DataView;
  #used = 0;

  /** Takes over `memory`; grows beyond it when it must. */
  constructor(memory: ArrayBuffer) {
    this.#bytes = new Uint8Array(memory);
    this.#view = viewOf(this.#bytes);
  }

  get usedBytes(): number {
    return this.#used;
  }

  /** Copies an entry to the end; without a value it stands for a deletion. */
  add(key: Uint8Array, value: Uint8Array | undefined): void {
    const valueAt = this.#used + entryHeaderBytes + padded(key.length);
    const end = valueAt + padded(value?.length ?? 0);
    if (end > this.#bytes.length) this.#grow(end);
    this.#view.setUint32(this.#used, key.length, true);
    this.#view.setUint32(this.#used + 4, value?.length ?? noValue, true);
    this.#bytes.set(key, this.#used + entryHeaderBytes);
    if (value) this.#bytes.set(value, valueAt);
    this.#used = end;
  }

  /** The memory, to be given away. This buffer must not be used afterwards. */
  take(): ArrayBuffer {
    return this.#bytes.buffer;
  }

  #grow(bytes: number): void {
    const grown = new Uint8Array(Math.max(bytes, 2 * this.#bytes.length));
    grown.set(this.#bytes.subarray(0, this.#used));
    this.#bytes = grown;
    this.#view = viewOf(grown);
  }
}

/** The entries in the first `usedBytes` of `memory`, in order: views of it, each value on a multiple of 8. */
export function* unpackEntries(
  memory: ArrayBuffer,
  usedBytes: number,
): Generator<{ key: Uint8Array; value: Uint8Array | undefined }> {
  const view = new DataView(memory);
  for (let at = 0; at < usedBytes; ) {
    const keyBytes = view.getUint32(at, true);
    const valueBytes = view.getUint32(at + 4, true);
    const key = new Uint8Array(memory, at + entryHeaderBytes, keyBytes);
    at += entryHeaderBytes + padded(keyBytes);
    if (valueBytes === noValue) {
      yield { key, value: undefined };
    } else {
      yield { key, value: new Uint8Array(memory, at, valueBytes) };
      at += padded(valueBytes);
    }
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
