// A store over many lives on a failing disk: it is written to, starved, mended, killed and unplugged, and compared.
import * as assert from "uvu/assert";
import type { Table } from "../../lib/api/store-types.js";
import type { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { Expectation } from "../chaos/expectation.js";
import { isMarked, isUnlogged, type Operation, operationAt, type Scale } from "../chaos/operations.js";
import { Performer } from "../chaos/performer.js";
import { readContents } from "../chaos/world.js";
import { FaultyMachine, type OpenedStore, turns } from "./fault-fixture.js";

const usualScale: Scale = { keys: 400, batch: 20, burst: 150 };

/** What is wrong with the disk in a life. */
export type Sabotage = (machine: FaultyMachine, random: Prng) => void;

export interface LifeOptions {
  readonly seed: number;
  /** Operations of a life, at most. */
  readonly operations: number;
  readonly sabotage: readonly Sabotage[];
  /** How lives end. */
  readonly ends: readonly ("kill" | "crash" | "close")[];
  /** Rows that tables with a limit of memory keep in it; what fits the limit unless given. */
  readonly hotRows?: number;
}

/** Operations that survive the process, and the power. */
interface Acknowledged {
  os: number;
  fsync: number;
}

export class FaultLife {
  readonly machine: FaultyMachine;
  /** Times that the store was read-only, and healed. */
  healed = 0;
  refused = 0;
  /** The last version that was acknowledged. */
  #version: string | undefined;
  #named = 0;
  readonly #options: LifeOptions;
  readonly #scale: Scale;
  readonly #random: Prng;
  readonly #expectation: Expectation;
  #sent = 0;
  #acknowledged: Acknowledged = { os: 0, fsync: 0 };
  #checkpointed = 0;
  #opened: OpenedStore | undefined;
  readonly #underWay = new Set<Promise<void>>();
  #refusedAt = Number.POSITIVE_INFINITY;
  #life = 0;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#scale = { ...usualScale, limited: options.hotRows !== undefined };
    this.#random = new Prng(options.seed);
    this.#expectation = new Expectation(options.seed, this.#scale);
    this.machine = new FaultyMachine(options.seed);
  }

  async live(): Promise<void> {
    const { store } = await this.#open();
    const random = this.#random;
    const performer = await Performer.over(store);
    this.machine.files.schedule = () => this.#pause(4);
    this.machine.pages.schedule = () => this.#pause(12);
    let i = this.#expectation.applied + 1;
    for (let steps = random.below(this.#options.operations); steps > 0; steps--) {
      if (random.below(12) === 0) pick(random, this.#options.sabotage)?.(this.machine, random);
      if (random.below(15) === 0) this.#checkpoint(i - 1);
      if (random.below(8) === 0) await turns(random.below(8));
      this.#issue(performer, operationAt(this.#options.seed, i, this.#scale), i);
      i++;
      if (!isMarked(operationAt(this.#options.seed, i - 1, this.#scale))) await this.#settled();
      else await this.#pause(6);
      if (this.#refusedAt < Number.POSITIVE_INFINITY || this.#opened!.shard.failure)
        i = await this.#outlast(i);
    }
    await this.#end();
  }

  async #open(): Promise<OpenedStore> {
    const random = this.#random;
    for (let attempt = 0; ; attempt++) {
      if (attempt < 3 && random.below(4) === 0) {
        if (random.below(2) === 0) this.machine.files.failOnce("any", random.below(30));
        else this.machine.pages.failOnce(pick(random, ["read", "write", "open"] as const), random.below(3));
      }
      try {
        const { hotRows } = this.#options;
        const everyLogBytes = 20_000 + random.below(100_000);
        this.#opened = await this.machine.open({
          logBufferBytes: 1 << (13 + random.below(4)),
          segmentBytes: 1 << (14 + random.below(5)),
          ...(hotRows !== undefined && { hotRows: () => hotRows }),
          ...(random.below(2) === 0 && { checkpoint: { everyMs: 50, everyLogBytes: () => everyLogBytes } }),
        });
        break;
      } catch (error) {
        assert.is((error as EmbershardError).code, "IO", (error as Error).stack);
        // A recovery that fails is one that ends.
        if (random.below(2) === 0) this.machine.kill();
        else this.#crash();
      }
    }
    this.machine.files.clearFaults();
    this.machine.pages.clearFaults();
    await this.#compare();
    return this.#opened;
  }

  #issue(performer: Performer, operation: Operation, i: number): void {
    const life = this.#life;
    this.#sent = Math.max(this.#sent, i);
    const done = performer.perform(operation, i).then(
      () => {
        if (life !== this.#life) return;
        assert.ok(i < this.#refusedAt, `operation ${i} was taken after ${this.#refusedAt} was refused`);
        if (isUnlogged(operation)) return;
        const level = "ack" in operation ? operation.ack : "os";
        if (level !== "memory") this.#acknowledged.os = Math.max(this.#acknowledged.os, i);
        if (level === "fsync") this.#acknowledged.fsync = Math.max(this.#acknowledged.fsync, i);
      },
      (error) => {
        if (life !== this.#life) return;
        assert.is((error as EmbershardError).code, "READ_ONLY", (error as Error).stack);
        this.refused++;
        this.#refusedAt = Math.min(this.#refusedAt, i);
      },
    );
    const settled = done.finally(() => this.#underWay.delete(settled));
    // Assertions in it are seen when it is waited for.
    settled.catch(() => {});
    this.#underWay.add(settled);
  }

  #checkpoint(applied: number): void {
    const life = this.#life;
    const signal = this.#random.below(6) === 0 ? AbortSignal.timeout(0) : undefined;
    const settledBefore = this.#underWay.size === 0;
    const version = this.#random.below(2) === 0 ? `v${++this.#named}` : undefined;
    const making = this.#opened!.store.checkpoint({
      ...(signal && { signal }),
      ...(version !== undefined && { version, keep: 3 }),
    });
    void making.then(
      () => {
        if (life === this.#life && version !== undefined) this.#version = version;
        if (life === this.#life && settledBefore) this.#checkpointed = Math.max(this.#checkpointed, applied);
      },
      (error: EmbershardError) =>
        assert.ok(["IO", "READ_ONLY", "ABORTED", "CLOSED"].includes(error.code), error.stack!),
    );
  }

  /** The store is read-only: reads go on; once the disk is well and time passes it heals by itself and owes nothing. */
  async #outlast(next: number): Promise<number> {
    const { shard, store, clock } = this.#opened!;
    await turns(4);
    if (shard.failure) {
      for (const { name, shape } of await store.tables())
        if (!shape) await this.#pull(await store.table(name));
      if (this.#random.below(4) === 0) return this.#resumeAt(next);
      if (this.#random.below(3) === 0) clock.advance(150);
      await turns(2);
    }
    this.#mend();
    for (let tries = 0; shard.failure; tries++) {
      assert.ok(tries < 60, `still read-only on a disk that is well: ${shard.failure.stack}`);
      clock.advance(2000);
      await turns(30);
    }
    this.healed++;
    await this.#settled();
    const resume = this.#resumeAt(next);
    this.#refusedAt = Number.POSITIVE_INFINITY;
    return resume;
  }

  /** Reads go on, but of cold rows as long as the page store fails. */
  async #pull(table: Table): Promise<void> {
    await table.pull(BigUint64Array.of(1n, 2n)).catch(async (error: EmbershardError) => {
      assert.ok((await table.stats()).cold !== undefined && error.code === "IO", error.stack!);
    });
  }

  /** What was refused is sent again. */
  #resumeAt(next: number): number {
    const resume = Math.min(next, this.#refusedAt);
    this.#sent = resume - 1;
    return resume;
  }

  /** Everything under way settles, on a disk that is well. */
  async #settled(): Promise<void> {
    const { shard, clock } = this.#opened!;
    for (let tries = 0; this.#underWay.size > 0; tries++) {
      assert.ok(
        tries < 400,
        `${this.#underWay.size} operations never settle; the failure is ${shard.failure?.message}`,
      );
      if (tries > 20) this.#mend();
      if (tries > 20 && shard.failure) clock.advance(2000);
      await turns(5);
    }
  }

  #mend(): void {
    const { files, pages } = this.machine;
    files.clearFaults();
    files.capacityBytes = Number.POSITIVE_INFINITY;
    pages.clearFaults();
    pages.capacityBytes = Number.POSITIVE_INFINITY;
  }

  async #end(): Promise<void> {
    const how = pick(this.#random, this.#options.ends);
    if (how === "close" && !this.#opened!.shard.failure) {
      this.#mend();
      await this.#settled();
      // The last writes of the journal before it closes; an old fault may still be about to strike.
      const ended = await this.#opened!.store.close().then(
        () => true,
        () => false,
      );
      if (ended && this.#refusedAt === Number.POSITIVE_INFINITY)
        this.#acknowledged = { os: this.#sent, fsync: this.#sent };
      this.#life++;
      this.machine.kill();
      return;
    }
    this.#life++;
    if (how === "crash") this.#crash();
    else this.machine.kill();
    this.#underWay.clear();
  }

  #crash(): void {
    this.machine.crash();
    this.#acknowledged.os = this.#acknowledged.fsync;
  }

  /** What was recovered is the oracle after exactly k operations, acknowledged <= k <= sent. */
  async #compare(): Promise<void> {
    const { store } = this.#opened!;
    const { os: acknowledged } = this.#acknowledged;
    const contents = await readContents(store);
    this.#expectation.demand({
      contents,
      mark: await store.mark(),
      sent: this.#sent,
      acknowledged,
      checkpointed: this.#checkpointed,
    });
    await this.#compareVersions(store);
    const { applied } = this.#expectation;
    // Opening makes what it found durable.
    this.#acknowledged = { os: applied, fsync: applied };
    this.#sent = applied;
    this.#checkpointed = 0;
    this.#refusedAt = Number.POSITIVE_INFINITY;
  }

  /** What was acknowledged is there, and what is there is the oracle after some operation; the unlogged table aside. */
  async #compareVersions(store: EmbeddedStore): Promise<void> {
    const names = (await store.versions()).map(({ name, damage }) => {
      assert.is(damage, undefined);
      return name;
    });
    if (this.#version !== undefined) assert.ok(names.includes(this.#version), `${this.#version} is lost`);
    if (names.length === 0) return;
    const version = await store.openVersion(pick(this.#random, names));
    const contents = await readContents(version);
    const sent = Math.max(this.#sent, this.#expectation.applied);
    const fresh = new Expectation(this.#options.seed, this.#scale);
    fresh.demand({ contents, mark: await version.mark(), sent, acknowledged: 0, checkpointed: undefined });
    await version.close();
  }

  async #pause(most: number): Promise<void> {
    for (let n = this.#random.below(most); n > 0; n--) await Promise.resolve();
  }
}

function pick<T>(random: Prng, from: readonly T[]): T {
  return from[random.below(from.length)];
}
