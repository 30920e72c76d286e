import { systemClock } from "../../lib/base/clock.js";
import { Prng } from "../../lib/base/prng.js";
import { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { Shard, type ShardOptions } from "../../lib/shard/shard.js";
import { MemoryFiles } from "../store/memory-files.js";
import { MemoryPageStore } from "../store/memory-page-store.js";

/** The directory of a store, in memory: it outlives the stores that are opened over it. */
export class MemoryDisk {
  readonly files = new MemoryFiles();
  readonly pages: MemoryPageStore;
  /** Of the store that was opened last. */
  shard: Shard | undefined;
  readonly #random: Prng;
  #used = false;
  #life = 0;

  constructor(seed: number) {
    this.#random = new Prng(seed);
    this.pages = new MemoryPageStore(seed);
  }

  /** Opens the public store over this disk, with arenas of 32 MiB and no checkpoints of its own unless told. */
  async open(options: Partial<ShardOptions> = {}): Promise<EmbeddedStore> {
    const life = ++this.#life;
    const mayBeNew = !this.#used;
    if (this.#used) await this.pages.reopen();
    this.#used = true;
    const shard = await Shard.open({
      files: this.files.ofThisLife(),
      pages: this.pages,
      identity: { storeId: new Uint8Array(16).fill(7), shard: 0 },
      // No timer of a killed one keeps the process of the spec alive.
      clock: { ...systemClock, after: (ms, callback) => systemClock.after(ms, callback) },
      nonce: () => (BigInt(this.#random.u32()) << 32n) | BigInt(this.#random.u32()),
      // A killed process does nothing more.
      pause: () => new Promise((resolve) => void setImmediate(() => life === this.#life && resolve())),
      arenaBytes: 32 << 20,
      hugePages: "off",
      checkpoint: undefined,
      mayBeNew,
      ...options,
    });
    this.shard = shard;
    return new EmbeddedStore("memory", shard, async () => {});
  }

  /** Ends the process that has it open: what it wrote stays. */
  kill(): void {
    this.#life++;
    this.files.kill(this.#random.u32());
    this.pages.crash();
  }
}
