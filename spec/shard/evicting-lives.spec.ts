// Random lives of a table that evicts and counts, with checkpoints, closings and kills: what is recovered is the oracle after some
// number of writes, evictions among them, and at least those that were acknowledged.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EvictedRows, Table } from "../../lib/api/store-types.js";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { adagrad, normal, type TableOptions } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { oracleOf, scanAll } from "../laws/oracle-of.js";
import { randomFloats, randomKeys } from "../laws/twin.js";

const dim = 3;
const turn = () => new Promise<void>((resolve) => void setImmediate(resolve));

class EvictingLife {
  readonly #disk: MemoryDisk;
  readonly #random: Prng;
  readonly #options: TableOptions;
  #store!: EmbeddedStore;
  #table!: Table;
  /** The table after each write; an eviction is one. */
  #states: OracleTable[] = [];
  #acknowledged = 0;
  /** Keys that went since the store was opened, before it was known what it holds. */
  #lost: bigint[] | undefined;
  #checkpointing: Promise<unknown> = Promise.resolve();
  #step = 0;
  evicted = 0;

  constructor(seed: number) {
    this.#disk = new MemoryDisk(seed);
    this.#random = new Prng(seed);
    this.#options = {
      dim,
      optimizer: adagrad({ learningRate: 0.1 }),
      initializer: normal(0, 1),
      eviction: {
        maxRows: 20 + this.#random.below(100),
        policy: (["lru", "lfu", "score"] as const)[this.#random.below(3)],
      },
      counters: { names: ["show", "click"], decay: 0.9 },
    };
  }

  async begin(): Promise<void> {
    await this.#open(this.#options);
    this.#states = [oracleOf(this.#table.options)];
  }

  async #open(options?: TableOptions): Promise<void> {
    this.#store = await this.#disk.open({ logBufferBytes: 1 << 17, segmentBytes: 1 << 16 });
    this.#table = await this.#store.table("t", options);
    this.#table.onEvicted((rows) => this.#goneAre(rows));
  }

  #goneAre({ keys }: EvictedRows): void {
    this.evicted += keys.length;
    if (this.#lost) this.#lost.push(...keys);
    else this.#become((oracle) => assert.is(oracle.delete(keys), keys.length));
  }

  /** Notes the state that a write makes, before it is made: evictions follow on it. Returns its number. */
  #become(change: (oracle: OracleTable) => void): number {
    const oracle = this.#states[this.#states.length - 1].clone();
    change(oracle);
    this.#states.push(oracle);
    return this.#states.length - 1;
  }

  async act(): Promise<void> {
    const random = this.#random;
    const n = 1 + random.below(60);
    const keys = randomKeys(random, n, 400);
    const values = randomFloats(random, n * dim);
    const ack = random.below(2) === 0 ? "memory" : "os";
    let state = 0;
    switch (random.below(14)) {
      case 0:
        state = this.#become((oracle) => oracle.assign(keys, values));
        await this.#table.assign(keys, values, { ack });
        break;
      case 1:
        state = this.#become((oracle) => oracle.delete(keys));
        await this.#table.delete(keys, { ack });
        break;
      case 2:
        state = this.#become((oracle) => oracle.decay());
        await this.#table.decay();
        this.#acknowledged = state;
        return;
      case 3:
        await this.#table.evict(random.below(2) === 0 ? { rows: random.below(30) } : { olderThanSteps: 5 });
        return;
      case 4:
        this.#checkpointing = this.#store.checkpoint();
        this.#checkpointing.catch(() => {});
        if (random.below(2) === 0) await this.#checkpointing;
        return;
      case 5:
        for (let i = random.below(6); i > 0; i--) await turn();
        return;
      case 6:
        return this.#end(random.below(3) > 0);
      default: {
        const step = ++this.#step;
        const counters = { click: randomFloats(random, n).map(Math.abs) };
        const given = { step, ...(random.below(2) === 0 && { counters }) };
        state = this.#become((oracle) => oracle.push(keys, values, given));
        await this.#table.push(keys, values, { ...given, ack });
      }
    }
    if (ack === "os") this.#acknowledged = state;
  }

  /** Ends this life of the store and begins the next, which holds a state that it may. */
  async #end(killed: boolean): Promise<void> {
    if (killed) this.#disk.kill();
    else {
      await this.#checkpointing.catch(() => {});
      await this.#store.close();
      this.#acknowledged = this.#states.length - 1;
    }
    this.#lost = [];
    await this.#open();
    // What was over its capacity when it ended evicts now.
    for (let i = 0; i < 6; i++) await turn();
    const rows = await scanAll(this.#table);
    const lost = this.#lost;
    this.#lost = undefined;
    const differences: string[] = [];
    for (let k = this.#states.length - 1; k >= this.#acknowledged; k--) {
      const oracle = this.#states[k].clone();
      const difference =
        oracle.delete(lost) === lost.length ? oracle.difference(rows) : "rows went that were not there";
      if (difference === undefined) {
        this.#states = [oracle];
        this.#acknowledged = 0;
        return;
      }
      differences.push(`state ${k}: ${difference}`);
    }
    throw new Error(`what was recovered is none of its states:\n${differences.join("\n")}`);
  }
}

const seeds = Number(process.env.EMBERSHARD_RUNS ?? 30);
const first = Number(process.env.EMBERSHARD_SEED ?? 1);

test("a table that evicts lives as its oracle, through checkpoints, closings and kills", async () => {
  let evicted = 0;
  for (let seed = first; seed < first + seeds; seed++) {
    const life = new EvictingLife(seed);
    try {
      await life.begin();
      for (let i = 0; i < 60; i++) await life.act();
    } catch (error) {
      throw new Error(`EMBERSHARD_SEED=${seed}: ${(error as Error).stack}`);
    }
    evicted += life.evicted;
  }
  assert.ok(evicted > 1000, String(evicted));
});

test.run();
