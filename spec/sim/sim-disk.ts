// The disk of one shard: slow, full or failing when it is told to be.
import type { Store } from "../../lib/api/store-types.js";
import { EmbershardError } from "../../lib/base/errors.js";
import type { Prng } from "../../lib/base/prng.js";
import type { Shard } from "../../lib/shard/shard.js";
import { FaultyMachine } from "../shard/fault-fixture.js";
import { pick } from "./chance.js";
import type { SimProcess } from "./process.js";
import type { SimMemory } from "./sim-memory.js";

/** What can be wrong with a disk. */
const sabotages = {
  full: ({ files }: FaultyMachine, random: Prng) => {
    const used = files.names().reduce((sum, name) => sum + files.content(name).length, 0);
    files.capacityBytes = used + random.below(3000);
  },
  "full of pages": ({ pages }: FaultyMachine, random: Prng) => {
    pages.capacityBytes = random.below(300_000);
  },
  "failing a write": ({ files }: FaultyMachine, random: Prng) =>
    files.failOnce("write", random.below(3), "ENOSPC"),
  "failing a sync": ({ files }: FaultyMachine, random: Prng) => files.failOnce("datasync", random.below(2)),
  "failing somewhere": ({ files }: FaultyMachine, random: Prng) => files.failOnce("any", random.below(12)),
  "failing to write pages": ({ pages }: FaultyMachine, random: Prng) =>
    pages.failOnce("write", random.below(3)),
};

export class SimDisk {
  readonly #machine: FaultyMachine;
  readonly #random: Prng;
  readonly #number: number;
  readonly #memory: SimMemory;
  /** Most milliseconds that an operation takes as a rule, and now. */
  readonly #usualMs: number;
  #delayMs: number;
  #open: Shard | undefined;

  constructor(number: number, random: Prng, memory: SimMemory) {
    this.#memory = memory;
    this.#number = number;
    this.#machine = new FaultyMachine(random.u32());
    this.#random = random;
    this.#usualMs = pick(random, [1, 1, 5, 30]);
    this.#delayMs = this.#usualMs;
  }

  /** Opens what is there for a process. @throws LOCKED while a shard that the process had opened is not closed; IO */
  async open(process: SimProcess): Promise<{ shard: Shard; store: Store }> {
    if (this.#open) throw new EmbershardError("LOCKED", "the process has it open");
    const machine = this.#machine;
    const schedule = () => this.#turn(process);
    machine.files.schedule = schedule;
    machine.pages.schedule = schedule;
    const { clock } = process;
    const random = this.#random;
    const everyLogBytes = 2000 + random.below(20_000);
    const { shard, store } = await machine.open({
      identity: { storeId: new Uint8Array(16).fill(7), shard: this.#number },
      clock,
      kernel: (maximumBytes) => this.#memory.kernel(maximumBytes),
      createBlock: (bytes) => this.#memory.block(bytes),
      pause: () => process.wait(0),
      logBufferBytes: 1 << (13 + random.below(4)),
      segmentBytes: 1 << (13 + random.below(4)),
      checkpoint: random.below(2) === 0 ? undefined : { everyMs: 3000, everyLogBytes: () => everyLogBytes },
    });
    this.#open = shard;
    const close = shard.close.bind(shard);
    shard.close = async () => {
      try {
        await close();
      } finally {
        if (this.#open === shard) this.#open = undefined;
      }
    };
    return { shard, store };
  }

  /** An operation of the disk takes its time. Of a process that has ended it never comes to its end. */
  #turn(process: SimProcess): Promise<void> {
    const ms = this.#random.below(3) === 0 ? this.#random.unit() * this.#delayMs : 0;
    return process.wait(ms);
  }

  slow(delayMs: number): void {
    this.#delayMs = delayMs;
  }

  /** Has something go wrong. Returns what, in words. */
  spoil(): string {
    const what = pick(this.#random, Object.keys(sabotages) as (keyof typeof sabotages)[]);
    sabotages[what](this.#machine, this.#random);
    return what;
  }

  mend(): void {
    const { files, pages } = this.#machine;
    this.#delayMs = this.#usualMs;
    files.clearFaults();
    files.capacityBytes = Number.POSITIVE_INFINITY;
    pages.clearFaults();
    pages.capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** Its process has ended; without power, any part of what was not synced is lost. */
  end(power: "stays" | "lost"): void {
    if (power === "lost") this.#machine.crash();
    else this.#machine.kill();
    this.#open = undefined;
    this.#delayMs = this.#usualMs;
  }
}
