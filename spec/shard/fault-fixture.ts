import type { Clock } from "../../lib/base/clock.js";
import { Prng } from "../../lib/base/prng.js";
import { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { Shard, type ShardOptions } from "../../lib/shard/shard.js";
import { MemoryFiles } from "../store/memory-files.js";
import { MemoryPageStore } from "../store/memory-page-store.js";

/** A clock that moves when it is told to. */
export class ManualClock implements Clock {
  #now = 1_000_000;
  #timers = new Set<{ at: number; callback: () => void }>();

  now(): number {
    return this.#now;
  }

  elapsed(): number {
    return this.#now;
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { at: this.#now + delayMs, callback };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  advance(ms: number): void {
    this.#now += ms;
    for (const timer of [...this.#timers]) {
      if (timer.at > this.#now || !this.#timers.delete(timer)) continue;
      timer.callback();
    }
  }
}

export interface OpenedStore {
  readonly shard: Shard;
  readonly store: EmbeddedStore;
  readonly clock: ManualClock;
}

/** A machine whose disk fails, whose processes are killed and whose power ends; a store in memory on it. */
export class FaultyMachine {
  readonly files: MemoryFiles;
  readonly pages: MemoryPageStore;
  readonly #random: Prng;
  #life = 0;
  #isNew: boolean;

  constructor(seed: number, files?: MemoryFiles, pages?: MemoryPageStore) {
    this.#random = new Prng(seed);
    this.files = files ?? new MemoryFiles();
    this.pages = pages ?? new MemoryPageStore(seed);
    this.#isNew = files === undefined;
  }

  /** Opens the store: arenas of 32 MiB, small segments, no checkpoints of its own unless told. */
  async open(options: Partial<ShardOptions> = {}): Promise<OpenedStore> {
    const life = this.#life;
    const clock = new ManualClock();
    await this.pages.reopen();
    const shard = await Shard.open({
      files: this.files.ofThisLife(),
      pages: this.pages,
      identity: { storeId: new Uint8Array(16).fill(7), shard: 0 },
      clock,
      nonce: () => (BigInt(this.#random.u32()) << 32n) | BigInt(this.#random.u32()),
      // What an ended process had going on stands still.
      pause: () => new Promise((resolve) => setImmediate(() => life === this.#life && resolve())),
      arenaBytes: 32 << 20,
      hugePages: "off",
      logBufferBytes: 1 << 16,
      segmentBytes: 1 << 16,
      checkpoint: undefined,
      mayBeNew: this.#isNew,
      ...options,
    });
    this.#isNew = false;
    return { shard, store: new EmbeddedStore("memory", shard, async () => {}), clock };
  }

  /** Ends the process: what was written stays. */
  kill(): void {
    this.files.kill(this.#random.u32());
    this.#end();
  }

  /** Ends the power: of what was written and not synced any part is lost. */
  crash(): void {
    this.files.crash(this.#random.u32());
    this.#end();
  }

  #end(): void {
    this.files.schedule = undefined;
    this.files.capacityBytes = Number.POSITIVE_INFINITY;
    this.pages.crash();
    this.pages.schedule = undefined;
    this.pages.capacityBytes = Number.POSITIVE_INFINITY;
    this.#life++;
  }
}

/** Lets everything run that needs no clock: some turns of the event loop. */
export async function turns(n = 20): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}
