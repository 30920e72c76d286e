// A random life of tables that combine narrow storage, admission, eviction, counters and cold rows, with versions and rollbacks, on a
// disk that fails: writes are refused or wait, processes end, the power too. What the log takes is what has happened.

import type { Ack, Table } from "../../lib/api/store-types.js";
import type { TableDefinition } from "../../lib/api/table-definition.js";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { RECORD } from "../../lib/shard/records.js";
import type { Shard } from "../../lib/shard/shard.js";
import { randomFloats, randomKeys } from "../laws/twin.js";
import { combinedOptions, evictionOf } from "./combined-tables.js";
import { type Change, CombinedWorld, demand, firstOf, type Span, stateOfVersion } from "./combined-world.js";
import { FaultyMachine, turns } from "./fault-fixture.js";
import type { LifeOptions } from "./fault-life.js";
import { LifeClock } from "./life-clock.js";
import { watchLog } from "./log-watch.js";

/** `hotRows`: rows that a table keeps in memory, the others being cold. */
export type FaultCombinedOptions = Required<Omit<LifeOptions, "operations">>;

/** A change that was asked for, until its record is in the log. */
interface Asked {
  readonly type: number;
  readonly change: Change;
  /** How many changes there were with it. */
  place?: number;
}

/** What an operation on a failing disk may reject with. */
const refusals: ReadonlySet<string> = new Set(["READ_ONLY", "IO", "ABORTED"]);

export class FaultCombinedLife {
  readonly #machine: FaultyMachine;
  readonly #options: FaultCombinedOptions;
  readonly #random: Prng;
  readonly #clock = new LifeClock();
  readonly #names: readonly string[];
  #store!: EmbeddedStore;
  #shard!: Shard;
  #tables = new Map<string, Table>();
  #base = new CombinedWorld();
  #changes: Change[] = [];
  #now = new CombinedWorld();
  #acknowledged = { os: 0, fsync: 0 };
  #asked: Asked | undefined;
  /** Evictions since opening, while it is not known yet what there is. */
  #early: Change[] | undefined;
  readonly #versions = new Map<string, Span>();
  /** Versions that nobody knows to be there or not. */
  readonly #unsure = new Map<string, Span>();
  #made = 0;
  #step = 0;
  readonly tally = { refused: 0, healed: 0, evicted: 0, lives: 0, versions: 0, rollbacks: 0 };
  readonly told: string[] = [];

  constructor(options: FaultCombinedOptions) {
    this.#options = options;
    this.#random = new Prng(options.seed);
    this.#machine = new FaultyMachine(options.seed);
    this.#names = ["t0", "t1"].slice(0, 1 + this.#random.below(2));
  }

  /** Opens the store, compares, does so many things, and ends. */
  async live(acts: number): Promise<void> {
    await this.#open();
    this.tally.lives++;
    await this.#makeMissing();
    for (let i = 0; i < acts; i++) {
      if (this.#random.below(6) === 0) this.#sabotage();
      await this.#act();
      if (this.#shard.failure && this.#random.below(3) > 0) await this.#heal();
    }
    await this.#end(this.#options.ends[this.#random.below(this.#options.ends.length)]);
  }

  #sabotage(): void {
    const { sabotage } = this.#options;
    sabotage[this.#random.below(sabotage.length)](this.#machine, this.#random);
  }

  async #act(): Promise<void> {
    const random = this.#random;
    this.#clock.advance(random.below(3000));
    const name = this.#names[random.below(this.#names.length)];
    const chosen = random.below(24);
    this.told.push(`${chosen} ${name}`);
    if (!this.#tables.has(name)) return this.#makeMissing();
    if (chosen < 12) return this.#write(name, chosen);
    switch (chosen) {
      case 12:
        return this.#decay(name);
      case 13:
      case 14:
        return this.#evict(name);
      case 15:
        return this.#redefine(name);
      case 16:
        return this.#remake(name);
      case 17:
      case 18:
        return this.#checkpoint();
      case 19:
        return this.#makeVersion();
      case 20:
        return void (await this.#someVersion());
      case 21:
        return this.#rollBack();
      case 22:
        return this.#deleteVersion();
      default:
        return this.#compareLive();
    }
  }

  async #open(): Promise<void> {
    const { files, pages } = this.#machine;
    const random = this.#random;
    for (let attempt = 0; ; attempt++) {
      if (attempt < 2 && random.below(5) === 0) {
        if (random.below(2) === 0) files.failOnce("any", random.below(30));
        else pages.failOnce((["read", "write", "open"] as const)[random.below(3)], random.below(3));
      }
      try {
        const { store, shard } = await this.#machine.open({
          clock: this.#clock,
          hotRows: () => this.#options.hotRows,
          logBufferBytes: 1 << 17,
          segmentBytes: 1 << 16,
          arenaBytes: 256 << 20,
        });
        [this.#store, this.#shard] = [store, shard];
        break;
      } catch (error) {
        if (!(error instanceof EmbershardError) || error.code !== "IO") throw error;
        // A recovery that fails is one that ends.
        this.#clock.forget();
        this.#machine.kill();
      }
    }
    this.#mend();
    this.#early = [];
    this.#watchLog();
    pages.schedule = () => turns(random.below(3));
    await this.#recover();
  }

  /** Learns from the log what happens, in its order. */
  #watchLog(): void {
    watchLog(this.#shard, {
      evicted: (table, keys) => {
        this.tally.evicted += keys.length;
        const change = (world: CombinedWorld) => demand(world.evict(table, keys));
        if (this.#early) this.#early.push(change);
        else this.#become(change);
      },
      asked: (type) => {
        const asked = this.#asked;
        if (asked && asked.place === undefined && asked.type === type)
          asked.place = this.#become(asked.change);
      },
    });
  }

  #become(change: Change): number {
    change(this.#now);
    return this.#changes.push(change);
  }

  /** Does what the log is asked for; false where it was refused, and has changed nothing. */
  async #do(type: number, change: Change, ack: Ack, work: () => Promise<unknown>): Promise<boolean> {
    const asked: Asked = { type, change };
    this.#asked = asked;
    const done = await this.#attempt(work);
    this.#asked = undefined;
    if (done && asked.place === undefined) throw new Error("a write was done and has left no record");
    if (done && ack !== "memory") this.#acknowledged.os = asked.place!;
    if (done && ack === "fsync") this.#acknowledged.fsync = asked.place!;
    return done;
  }

  /** Waits for work, mending the disk where it does not end; false where it was refused. @throws what else it rejects with */
  async #attempt(work: () => Promise<unknown>): Promise<boolean> {
    let outcome: { error?: unknown } | undefined;
    void work().then(
      () => (outcome = {}),
      (error: unknown) => (outcome = { error }),
    );
    for (let tries = 0; !outcome; tries++) {
      if (tries > 2000) throw new Error(`it never ends: ${this.#shard.failure?.message}`);
      await turns(2);
      if (tries > 30) this.#mend();
      // Whoever waits for a disk to be well looks now and then.
      if (tries > 30) this.#clock.advance(this.#shard.failure ? 2000 : 50);
    }
    if (!("error" in outcome)) return true;
    const { error } = outcome as { error: unknown };
    if (!(error instanceof EmbershardError) || !refusals.has(error.code)) throw error;
    this.tally.refused++;
    return false;
  }

  #mend(): void {
    const { files, pages } = this.#machine;
    files.clearFaults();
    files.capacityBytes = Number.POSITIVE_INFINITY;
    pages.clearFaults();
    pages.capacityBytes = Number.POSITIVE_INFINITY;
  }

  /** On a disk that is well the store heals by itself. */
  async #heal(): Promise<void> {
    this.#mend();
    for (let tries = 0; this.#shard.failure; tries++) {
      if (tries > 100) throw this.#shard.failure;
      this.#clock.advance(2000);
      await turns(20);
      if (!this.#shard.failure) this.tally.healed++;
    }
  }

  /** Nothing goes on by itself any more. */
  async #quiet(): Promise<void> {
    await this.#heal();
    for (let still = 0, lsn = -1; still < 4; still++) {
      await turns(60);
      if (this.#shard.log.nextLsn !== lsn) [still, lsn] = [0, this.#shard.log.nextLsn];
      await this.#heal();
    }
  }

  async #makeMissing(): Promise<void> {
    for (const name of this.#names) {
      if (this.#tables.has(name)) continue;
      const options = combinedOptions(this.#random, false, true);
      let made: Table | undefined;
      // Its definition says its number: when its record is appended the table is there.
      let definition: TableDefinition | undefined;
      const change = (world: CombinedWorld) => {
        definition ??= this.#shard.tables.get(name)!.definition;
        world.make(definition);
      };
      const done = await this.#do(RECORD.define, change, "os", async () => {
        made = await this.#store.table(name, options);
      });
      if (done) this.#tables.set(name, made!);
    }
  }

  async #write(name: string, chosen: number): Promise<void> {
    const random = this.#random;
    const table = this.#tables.get(name)!;
    const n = 1 + random.below(80);
    const keys = randomKeys(random, n, 400);
    const ack = (["memory", "os", "os", "fsync"] as const)[random.below(4)];
    const member = (world: CombinedWorld) => world.members.get(name)!;
    if (chosen === 0) {
      const change = (world: CombinedWorld) => void member(world).oracle.delete(keys);
      await this.#do(RECORD.rows, change, ack, () => table.delete(keys, { ack }));
    } else if (chosen === 1) {
      const change = (world: CombinedWorld) => void member(world).oracle.pull(keys, { create: true });
      await this.#do(RECORD.rows, change, "memory", () => table.pull(keys, { create: true }));
    } else if (chosen < 4) {
      const values = randomFloats(random, n * table.dim);
      const state = random.below(2) === 0 ? randomFloats(random, n * table.stateFloats) : undefined;
      const change = (world: CombinedWorld) => world.assign(name, keys, values, state);
      await this.#do(RECORD.rows, change, ack, () =>
        table.assign(keys, values, { ack, ...(state && { state }) }),
      );
    } else {
      const values = randomFloats(random, n * table.dim);
      const { names } = table.options.counters ?? { names: [] };
      this.#step += random.below(3);
      const counters =
        names.length > 0 && random.below(2) === 0
          ? { [names[0]]: randomFloats(random, n).map(Math.abs) }
          : undefined;
      const given = { step: this.#step, ...(counters && { counters }) };
      const change = (world: CombinedWorld) => world.push(name, keys, values, given);
      await this.#do(RECORD.rows, change, ack, () => table.push(keys, values, { ...given, ack }));
    }
  }

  async #decay(name: string): Promise<void> {
    const table = this.#tables.get(name)!;
    if (!table.options.counters) return;
    await this.#do(
      RECORD.decay,
      (world) => world.decay(name),
      "os",
      () => table.decay(),
    );
  }

  async #evict(name: string): Promise<void> {
    const requests = [{ rows: this.#random.below(40) }, { belowFrequency: 2 }, { belowNorm: 0.5 }];
    await this.#attempt(() => this.#tables.get(name)!.evict(requests[this.#random.below(3)]));
  }

  async #redefine(name: string): Promise<void> {
    const { counters, eviction } = this.#tables.get(name)!.options;
    if (!eviction) return;
    const options = { eviction: evictionOf(this.#random, false, counters !== undefined) };
    await this.#attempt(() => this.#store.table(name, options));
  }

  /** Another table under the name. */
  async #remake(name: string): Promise<void> {
    if (this.#random.below(3) > 0) return;
    const drop = (world: CombinedWorld) => void world.members.delete(name);
    if (!(await this.#do(RECORD.drop, drop, "os", () => this.#store.dropTable(name)))) return;
    this.#tables.delete(name);
    await this.#makeMissing();
  }

  async #checkpoint(): Promise<void> {
    const writing = this.#attempt(() => this.#store.checkpoint({}));
    if (this.#random.below(2) === 0) await writing;
    else await Promise.race([writing, turns(this.#random.below(20))]);
  }

  async #makeVersion(): Promise<void> {
    const name = `v${++this.#made}`;
    const begin = this.#now.clone();
    const from = this.#changes.length;
    const done = await this.#attempt(() => this.#store.checkpoint({ version: name, keep: 4 }));
    const span = { begin, changes: this.#changes.slice(from) };
    if (!done) {
      this.#unsure.set(name, span);
      return;
    }
    this.tally.versions++;
    this.#versions.set(name, span);
    for (const one of [...this.#versions.keys()].slice(0, -4)) this.#forget(one);
  }

  /** It was to be deleted, and may be there. */
  #forget(name: string): void {
    this.#unsure.set(name, this.#versions.get(name)!);
    this.#versions.delete(name);
  }

  /** A version by chance, on a disk that is well. */
  async #someVersion(): Promise<string | undefined> {
    const name = [...this.#versions.keys()][this.#random.below(Math.max(1, this.#versions.size))];
    if (name === undefined) return undefined;
    await this.#heal();
    const begin = await stateOfVersion(this.#store, name, this.#versions.get(name)!);
    this.#versions.set(name, { begin, changes: [] });
    return name;
  }

  async #deleteVersion(): Promise<void> {
    const [name] = this.#versions.keys();
    if (name === undefined) return;
    const done = await this.#attempt(() => this.#store.deleteVersion(name));
    if (done) this.#versions.delete(name);
    else this.#forget(name);
  }

  /** Where it is refused it may have happened all the same: that is seen when the store is opened again. */
  async #rollBack(): Promise<void> {
    const name = await this.#someVersion();
    if (name === undefined) return;
    await this.#quiet();
    this.tally.rollbacks++;
    const there = this.#versions.get(name)!.begin;
    if (this.#random.below(3) === 0) this.#sabotage();
    this.#early = [];
    const done = await this.#attempt(() => this.#store.rollback(name));
    if (!done) return this.#endAndOpen({ begin: there, changes: this.#early });
    await this.#quiet();
    const found = await this.#differenceFrom(there);
    if (found !== undefined) throw new Error(`what was rolled back to: ${found}`);
    this.#goOnFrom(there);
    await this.#handles();
    await this.#makeMissing();
  }

  async #endAndOpen(other: Span): Promise<void> {
    this.#machine.kill();
    this.#clock.forget();
    // Evictions of a store that was not rolled back follow on what it was.
    for (const change of other.changes) this.#changes.push(change);
    this.#other = other;
    await this.#open();
    await this.#makeMissing();
  }

  /** What there may be instead, after a rollback that was cut short. */
  #other: Span | undefined;

  async #compareLive(): Promise<void> {
    await this.#quiet();
    const difference = await this.#now.difference(this.#store, (name) => this.#shard.tables.get(name)!);
    if (difference !== undefined) throw new Error(`alive: ${difference}`);
  }

  async #end(how: "kill" | "crash" | "close"): Promise<void> {
    this.told.push(how);
    const asked = how === "close" ? undefined : this.#lastWrite();
    await turns(this.#random.below(12));
    if (how === "close" && !this.#shard.failure) {
      this.#mend();
      const closed = await this.#attempt(() => this.#store.close());
      if (closed) this.#acknowledged = { os: this.#changes.length, fsync: this.#changes.length };
    }
    if (how === "crash") {
      this.#machine.crash();
      this.#acknowledged.os = this.#acknowledged.fsync;
    } else this.#machine.kill();
    this.#clock.forget();
    asked?.catch(() => {});
    this.#asked = undefined;
  }

  /** A write that is under way when the process ends. */
  #lastWrite(): Promise<unknown> | undefined {
    const [name] = this.#tables.keys();
    if (name === undefined) return undefined;
    const table = this.#tables.get(name)!;
    const keys = randomKeys(this.#random, 20, 400);
    const values = randomFloats(this.#random, 20 * table.dim);
    const given = { step: this.#step };
    this.#asked = { type: RECORD.rows, change: (world) => world.push(name, keys, values, given) };
    const writing = table.push(keys, values, { ...given, ack: "os" });
    writing.catch(() => {});
    return writing;
  }

  async #handles(): Promise<void> {
    this.#tables.clear();
    for (const { name } of await this.#store.tables()) this.#tables.set(name, await this.#store.table(name));
  }

  /** What was recovered is a state after what was acknowledged, and every version one that it may be. */
  async #recover(): Promise<void> {
    await this.#quiet();
    await this.#handles();
    const look = (world: CombinedWorld) => this.#differenceFrom(world);
    const other = this.#other;
    this.#other = undefined;
    const found = await firstOf(this.#base, this.#changes, this.#acknowledged.os, look);
    const instead =
      typeof found === "string" && other && (await firstOf(other.begin, other.changes, 0, look));
    if (typeof found !== "string") this.#goOnFrom(found.world);
    else if (instead && typeof instead !== "string") this.#goOnFrom(instead.world);
    else throw new Error(`what was recovered is none of its states:\n${found}\n${instead}`);
    await this.#recoverVersions();
  }

  async #recoverVersions(): Promise<void> {
    const there = await this.#store.versions();
    for (const { name, damage } of there) {
      if (damage !== undefined) throw new Error(`version ${name} is damaged: ${damage}`);
      if (this.#versions.has(name)) continue;
      const span = this.#unsure.get(name);
      if (!span) throw new Error(`version ${name} was not made`);
      this.#versions.set(name, span);
    }
    for (const name of this.#versions.keys())
      if (!there.some((one) => one.name === name)) throw new Error(`version ${name} is missing`);
    this.#unsure.clear();
  }

  async #differenceFrom(before: CombinedWorld): Promise<string | undefined> {
    const world = before.clone();
    try {
      for (const change of this.#early ?? []) change(world);
    } catch (error) {
      return (error as Error).message;
    }
    return world.difference(this.#store, (name) => this.#shard.tables.get(name)!);
  }

  #goOnFrom(found: CombinedWorld): void {
    this.#base = found;
    this.#now = found.clone();
    this.#changes = [];
    const early = this.#early ?? [];
    this.#early = undefined;
    for (const change of early) this.#become(change);
    // Opening, and a rollback, make durable what there is.
    this.#acknowledged = { os: 0, fsync: 0 };
  }
}
