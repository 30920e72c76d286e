// Random lives of a log on a disk that fails: whatever was acknowledged is there afterwards, what is left is a prefix.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { SegmentLog } from "../../lib/store/segment-log.js";
import { type OpenedLog, reopen } from "./log-fixture.js";
import { MemoryFiles } from "./memory-files.js";

/** One log over many lives, and what is known of it. */
class Story {
  readonly files = new MemoryFiles();
  readonly #random: Prng;
  readonly #payloads: Uint8Array[] = [];
  #log!: SegmentLog;
  // Where a reader has to begin: a checkpoint of all before is durable.
  #from = 1;
  #written = 0;
  #synced = 0;
  #generation = 0;
  #acknowledgedGeneration = 0;
  // Whether power failed since the log was last open.
  #powerFailed = false;

  constructor(seed: number) {
    this.#random = new Prng(seed);
  }

  async live(): Promise<void> {
    await this.#open();
    for (let steps = this.#random.below(60); steps >= 0; steps--) await this.#step();
    const last = this.#log.nextLsn - 1;
    if (this.#random.below(8) === 0 && !this.#log.failure) {
      this.files.capacityBytes = Number.POSITIVE_INFINITY;
      this.files.clearFaults();
      await this.#log.close().then(() => {
        this.#synced = last;
      }, demandIo);
      this.#written = Math.max(this.#written, this.#log.writtenLsn);
    } else {
      this.#written = Math.max(this.#written, this.#log.writtenLsn);
      this.#end();
    }
    this.files.capacityBytes = Number.POSITIVE_INFINITY;
  }

  async #open(): Promise<void> {
    let opened: OpenedLog | undefined;
    while (!opened) {
      if (this.#random.below(3) === 0) this.files.failOnce("any", this.#random.below(40));
      try {
        opened = await reopen(
          this.files.ofThisLife(),
          {
            logBufferBytes: 1024 << this.#random.below(4),
            segmentBytes: 4096 + (600 << this.#random.below(4)),
          },
          { from: this.#from, holes: this.#powerFailed ? "torn" : "damage", mayBeNew: this.#synced === 0 },
        );
      } catch (error) {
        assert.is((error as EmbershardError).code, "IO", String((error as Error).stack));
        this.#end();
      }
    }
    this.files.clearFaults();
    this.files.schedule = () => this.#pause(6);
    this.#log = opened.log;
    this.#powerFailed = false;
    const { lsns, payloads, end } = opened.found;
    const last = end.nextLsn - 1;
    assert.ok(last >= Math.max(this.#synced, this.#written), `LSN ${last}, ${this.#written} ${this.#synced}`);
    assert.ok(last <= Math.max(this.#payloads.length, this.#from - 1), "records came from nowhere");
    assert.ok(end.mark.generation >= this.#acknowledgedGeneration && end.mark.generation <= this.#generation);
    assert.is(lsns.length, last - this.#from + 1);
    for (const [i, lsn] of lsns.entries()) {
      assert.is(lsn, this.#from + i);
      assert.is(Buffer.compare(payloads[i], this.#payloads[lsn - 1]), 0, `payload of ${lsn}`);
    }
    this.#payloads.length = last;
    // Opening makes all that it found durable.
    this.#synced = last;
    this.#written = last;
  }

  async #step(): Promise<void> {
    const log = this.#log;
    if (log.failure) return this.#recover();
    switch (this.#random.below(12)) {
      case 0: {
        const target = this.#random.below(log.nextLsn);
        void log.synced(target)?.then(() => {
          if (log === this.#log) this.#synced = Math.max(this.#synced, target);
        });
        break;
      }
      case 1: {
        const generation = ++this.#generation;
        void log.commitGeneration(generation)?.then(() => {
          if (log === this.#log)
            this.#acknowledgedGeneration = Math.max(this.#acknowledgedGeneration, generation);
        });
        break;
      }
      case 2:
        this.#from = Math.max(this.#from, this.#random.below(this.#synced + 2));
        await log.discardBefore(this.#from).catch(demandIo);
        break;
      case 3:
        if (this.#random.below(3) === 0) this.#sabotage();
        break;
      case 4:
        await this.#pause(60);
        break;
      default:
        this.#append();
    }
    await this.#pause(8);
  }

  #append(): void {
    const large = this.#random.below(20) === 0;
    const payload = new Uint8Array(this.#random.below(large ? 12_000 : 200)).map(() =>
      this.#random.below(256),
    );
    if (this.#log.room(payload.length)) return;
    const lsn = this.#log.append(1, 0, [payload]);
    assert.is(lsn, this.#payloads.length + 1);
    this.#payloads.push(payload);
  }

  #sabotage(): void {
    const kind = this.#random.below(4);
    if (kind === 0) {
      const used = this.files.names().reduce((sum, name) => sum + this.files.content(name).length, 0);
      this.files.capacityBytes = used + this.#random.below(6000);
    } else {
      this.files.failOnce((["write", "datasync", "any"] as const)[kind - 1], this.#random.below(3));
    }
  }

  async #recover(): Promise<void> {
    if (this.#random.below(3) > 0) this.files.capacityBytes = Number.POSITIVE_INFINITY;
    const outcome = await this.#log.retry();
    if (outcome !== "restart") return;
    this.#from = this.#log.nextLsn;
    await this.#log.restart(this.#from).then(() => {
      this.#synced = this.#from - 1;
      this.#written = this.#from - 1;
    }, demandIo);
  }

  #end(): void {
    if (this.#random.below(2) === 0) {
      this.files.kill(this.#random.u32());
    } else {
      this.files.crash(this.#random.u32());
      this.#powerFailed = true;
      this.#written = 0;
    }
    this.files.schedule = undefined;
  }

  async #pause(most: number): Promise<void> {
    for (let turns = this.#random.below(most); turns > 0; turns--) await Promise.resolve();
  }
}

function demandIo(error: unknown): void {
  assert.instance(error, EmbershardError);
  assert.is((error as EmbershardError).code, "IO");
}

// Each of these found a bug once.
const telling = [65, 86, 105, 5184, 5249, 6042, 121573];

test("thousands of lives: acknowledged records stay, what stays is a prefix, nothing comes twice", async () => {
  const stories = Number(process.env.STORIES ?? 700);
  const firstSeed = Number(process.env.SEED ?? 0);
  for (const seed of [...telling, ...Array.from({ length: stories }, (_, i) => firstSeed + i)]) {
    const story = new Story(seed);
    try {
      for (let lives = 0; lives < 8; lives++) await story.live();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
});

test.run();
