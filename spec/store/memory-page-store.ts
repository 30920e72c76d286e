import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { FoundValues, KeyRange, PageBatch, PageEntry, PageStore } from "../../lib/store/page-store.js";

export type PageOperation = "read" | "write" | "compact" | "open";

type Change = { readonly key: string; readonly value: Uint8Array | undefined };

const entriesPerBatch = 32;

/**
 * A page store in memory that fails as an engine on a disk does. A batch whose write failed, or that was under way
 * when the process or the power ended, is there afterwards as a whole or not at all: the seed decides.
 */
export class MemoryPageStore implements PageStore {
  /** Bytes of keys and values that fit; deleted ones count until they are compacted. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Awaited before each operation takes effect, when given. */
  schedule: (() => Promise<void>) | undefined;
  readonly #random: Prng;
  #entries = new Map<string, Uint8Array>();
  #garbageBytes = 0;
  #faults: { operation: PageOperation; after: number; code: string }[] = [];
  #state: "open" | "failed" | "closed" = "open";
  #failure: EmbershardError | undefined;
  #life = 0;
  #inFlight: Change[] | undefined;
  #writing: Promise<void> | undefined;

  constructor(seed: number) {
    this.#random = new Prng(seed);
  }

  async *entries(range: KeyRange): AsyncGenerator<readonly PageEntry[]> {
    const keys = this.#keysIn(range);
    // As of now, whatever is written while they are read.
    const values = new Map(this.#entries);
    for (let i = 0; i < keys.length; i += entriesPerBatch) {
      await this.#operation("read");
      const batch: PageEntry[] = [];
      for (const key of keys.slice(i, i + entriesPerBatch)) {
        const value = values.get(key);
        if (value) batch.push({ key: bytesOf(key), value: value.slice() });
      }
      if (batch.length > 0) yield batch;
    }
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    await this.#operation("read");
    return this.#entries.get(hexOf(key))?.slice();
  }

  async getMany(keys: Uint8Array, keyBytes: number): Promise<FoundValues> {
    this.#demandOpen();
    const values: Uint8Array[] = [];
    for (let at = 0; at < keys.length; at += keyBytes)
      values.push(this.#entries.get(hexOf(keys.subarray(at, at + keyBytes))) ?? new Uint8Array(0));
    const ends = new Uint32Array(values.length);
    let length = 0;
    for (const [i, value] of values.entries()) ends[i] = length += value.length;
    const bytes = new Uint8Array(Buffer.concat(values));
    await this.#operation("read");
    return { bytes, ends };
  }

  batch(): PageBatch {
    this.#demandOpen();
    const changes: Change[] = [];
    return {
      put: (key, value) => void changes.push({ key: hexOf(key), value: value.slice() }),
      del: (key) => void changes.push({ key: hexOf(key), value: undefined }),
      write: () => {
        const life = this.#life;
        const before = this.#writing;
        const mine = (async () => {
          await before?.catch(() => {});
          if (life !== this.#life) throw new EmbershardError("CLOSED", "the process has ended");
          this.#demandOpen();
          await this.#write(changes);
        })();
        this.#writing = mine;
        return mine;
      },
    };
  }

  async compact(range: KeyRange): Promise<void> {
    await this.#operation("compact");
    if (this.#keysIn(range)) this.#garbageBytes = 0;
  }

  async reopen(): Promise<void> {
    this.#state = "open";
    this.#failure = undefined;
    await this.#operation("open");
  }

  async close(): Promise<void> {
    this.#state = "closed";
  }

  /** Ends the process or the power. Open it again with `reopen`. */
  crash(): void {
    if (this.#inFlight && this.#random.below(2) === 0) this.#apply(this.#inFlight);
    this.#inFlight = undefined;
    // It may never come to its end.
    this.#writing = undefined;
    this.#life++;
    this.#faults = [];
    this.#state = "closed";
  }

  /** The operation of this kind that comes after `after` others of it fails with `code`. */
  failOnce(operation: PageOperation, after: number, code = "EIO"): void {
    this.#faults.push({ operation, after, code });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  /** All keys, in order. */
  keys(): Uint8Array[] {
    return [...this.#entries.keys()].sort().map(bytesOf);
  }

  flipBit(key: Uint8Array, bit: number): void {
    this.#entries.get(hexOf(key))![bit >> 3] ^= 1 << (bit & 7);
  }

  /** Gives one key the value of another. */
  copy(from: Uint8Array, to: Uint8Array): void {
    this.#entries.set(hexOf(to), this.#entries.get(hexOf(from))!.slice());
  }

  /** Loses an entry without a word. */
  lose(key: Uint8Array): void {
    this.#entries.delete(hexOf(key));
  }

  async #write(changes: Change[]): Promise<void> {
    this.#inFlight = changes;
    try {
      await this.#operation("write");
    } catch (error) {
      if (this.#inFlight === changes && this.#random.below(2) === 0) this.#apply(changes);
      throw error;
    } finally {
      if (this.#inFlight === changes) this.#inFlight = undefined;
    }
    let used = this.#garbageBytes;
    for (const [key, value] of this.#entries) used += key.length / 2 + value.length;
    for (const { key, value } of changes) used += key.length / 2 + (value?.length ?? 0);
    if (used > this.capacityBytes) throw this.#fail("ENOSPC");
    this.#apply(changes);
  }

  #apply(changes: Change[]): void {
    for (const { key, value } of changes) {
      this.#garbageBytes += this.#entries.get(key)?.length ?? 0;
      if (value) this.#entries.set(key, value);
      else this.#entries.delete(key);
    }
  }

  #keysIn({ gte, lt }: KeyRange): string[] {
    this.#demandOpen();
    const [first, end] = [hexOf(gte), hexOf(lt)];
    return [...this.#entries.keys()].filter((key) => key >= first && key < end).sort();
  }

  async #operation(operation: PageOperation): Promise<void> {
    this.#demandOpen();
    const life = this.#life;
    await this.schedule?.();
    if (life !== this.#life) throw new EmbershardError("CLOSED", "the process has ended");
    for (const fault of this.#faults) {
      if (fault.operation !== operation || fault.after-- > 0) continue;
      this.#faults = this.#faults.filter((other) => other !== fault);
      throw this.#fail(fault.code);
    }
  }

  #demandOpen(): void {
    if (this.#state === "failed") throw this.#failure!;
    if (this.#state === "closed") throw new EmbershardError("CLOSED", "the page store is closed");
  }

  #fail(code: string): EmbershardError {
    const cause = Object.assign(new Error(code), { code });
    this.#failure = new EmbershardError("IO", `the disk said ${code}`, { cause });
    this.#state = "failed";
    return this.#failure;
  }
}

function hexOf(key: Uint8Array): string {
  return Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString("hex");
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, "hex"));
}
