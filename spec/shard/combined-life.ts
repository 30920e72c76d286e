// A random life of a store whose tables combine narrow storage, admission, eviction and counters, with versions made, opened,
// compared, rolled back to and deleted in between, closings and kills, and, where rows are wide, hand-over to further arenas.

import type { EvictionRequest, Table } from "../../lib/api/store-types.js";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { RECORD } from "../../lib/shard/records.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { randomFloats, randomKeys } from "../laws/twin.js";
import { combinedOptions, evictionOf } from "./combined-tables.js";
import { type Change, CombinedWorld, demand, firstOf, type Span, stateOfVersion } from "./combined-world.js";
import { turns } from "./fault-fixture.js";
import { LifeClock } from "./life-clock.js";
import { watchLog } from "./log-watch.js";
import { recordsOf } from "./record-dump.js";

export class CombinedLife {
  readonly #disk: MemoryDisk;
  readonly #random: Prng;
  /** Rows are wide, so that few of them fill an arena. */
  readonly #wide: boolean;
  readonly #clock = new LifeClock();
  readonly #names: readonly string[];
  #store!: EmbeddedStore;
  #tables = new Map<string, Table>();
  /** Numbers of tables whose evictions are listened to, in this process. */
  #heard = new Set<number>();
  #base = new CombinedWorld();
  /** What was done since `#base`; an eviction is something done. */
  #changes: Change[] = [];
  /** `#base` with all changes. */
  #now = new CombinedWorld();
  #acknowledged = 0;
  /** Changes that the last checkpoint may or must contain. */
  #checkpointed = { from: 0, to: 0 };
  /** Rows that went while it was not known what there is. */
  #lost: Map<number, bigint[]> | undefined;
  readonly #versions = new Map<string, Span>();
  #making: { name: string | undefined; begin: CombinedWorld; from: number } | undefined;
  #checkpointing: Promise<void> = Promise.resolve();
  #life = 0;
  #step = 0;
  #made = 0;
  readonly tally = { evicted: 0, kills: 0, rollbacks: 0, versions: 0, arenas: 1, handedOver: 0, decays: 0 };
  readonly log: string[] = [];

  /** Rows that a table keeps in memory, the others being cold; undefined: all. */
  readonly #hotRows: number | undefined;
  /** A write that has been called and has not taken effect: with cold rows it waits, and rows may go before it. */
  #waiting: { readonly change: Change; done: boolean } | undefined;
  #placed = 0;

  constructor(seed: number, wide: boolean, hotRows?: number) {
    this.#hotRows = hotRows;
    this.#disk = new MemoryDisk(seed);
    this.#random = new Prng(seed);
    this.#wide = wide;
    this.#names = wide ? ["t0"] : ["t0", "t1", "t2"].slice(0, 1 + this.#random.below(3));
    const random = new Prng(seed + 1);
    this.#disk.pages.schedule = () => turns(random.below(8));
  }

  async begin(): Promise<void> {
    await this.#open();
    await this.#makeMissing();
  }

  async act(): Promise<void> {
    const random = this.#random;
    this.#clock.advance(random.below(3000));
    const name = this.#names[random.below(this.#names.length)];
    const chosen = random.below(32);
    this.log.push(`${chosen} ${name}`);
    const { arenas } = this.#disk.shard!.state;
    this.tally.arenas = Math.max(this.tally.arenas, arenas.all.length);
    if (arenas.moving) this.tally.handedOver++;
    if (chosen < 14) return this.#write(name, chosen);
    switch (chosen) {
      case 14:
      case 15:
        return this.#decay(name);
      case 16:
      case 17:
        return this.#evict(name);
      case 18:
        return this.#redefine(name);
      case 19:
        return this.#remake(name);
      case 20:
        return this.#forget(name);
      case 21:
      case 22:
        return this.#checkpoint(false);
      case 23:
      case 24:
        return this.#checkpoint(true);
      case 25:
        return this.#openVersion();
      case 26:
        return this.#compareVersion();
      case 27:
      case 28:
        return this.#rollBack();
      case 29:
        return this.#deleteVersion();
      case 30:
        return this.#end(random.below(3) > 0);
      default:
        return turns(random.below(8));
    }
  }

  async end(): Promise<void> {
    await this.#end(false);
    await this.#end(false);
    await this.#checkpointing;
    await this.#store.close();
  }

  async #open(): Promise<void> {
    this.#heard.clear();
    this.#tables.clear();
    this.#store = await this.#disk.open({
      logBufferBytes: this.#wide ? 4 << 20 : 1 << 18,
      segmentBytes: this.#wide ? 1 << 21 : 1 << 16,
      arenaBytes: this.#wide ? 32 << 20 : 256 << 20,
      clock: this.#clock,
      ...(this.#hotRows !== undefined && { hotRows: () => this.#hotRows! }),
    });
    this.#watchLog();
  }

  /** Learns from the log when a write takes effect. */
  #watchLog(): void {
    watchLog(this.#disk.shard!, {
      evicted: () => {},
      asked: (type) => {
        const waiting = this.#waiting;
        if (type !== RECORD.rows || !waiting || waiting.done) return;
        this.#placed = this.#become(waiting.change);
        waiting.done = true;
      },
    });
  }

  /** Makes a change to a table. Returns the number of what there is then. */
  async #make(table: Table, change: Change, work: () => Promise<unknown>): Promise<number> {
    if (table.options.memory === undefined) {
      const state = this.#become(change);
      await work();
      return state;
    }
    const waiting = { change, done: false };
    this.#waiting = waiting;
    await work();
    if (!waiting.done) throw new Error("a write has left no record");
    return this.#placed;
  }

  /** Handles of all tables, those that are missing made. A handle is good, and heard, for as long as the process lives. */
  async #makeMissing(): Promise<void> {
    for (const name of this.#names) {
      const member = this.#now.members.get(name);
      const known = this.#tables.get(name);
      if (known && known.options.number === member?.number) continue;
      const options = member
        ? undefined
        : combinedOptions(this.#random, this.#wide, this.#hotRows !== undefined);
      const table = await this.#store.table(name, options);
      this.#tables.set(name, table);
      this.#hear(table);
      if (member) continue;
      this.#acknowledged = this.#become((world) => world.make(table.options));
      if (this.#wide) await this.#fill(name, table);
    }
  }

  /** With the rows that come by and by it takes more than an arena. */
  async #fill(name: string, table: Table): Promise<void> {
    for (let from = 2; from < 1200; from += 100) {
      const keys = BigUint64Array.from({ length: 100 }, (_, i) => BigInt(from + i));
      this.#become((world) => void world.members.get(name)!.oracle.pull(keys, { create: true }));
      await table.pull(keys, { create: true });
    }
  }

  #hear(table: Table): void {
    const { number } = table.options;
    if (this.#heard.has(number)) return;
    this.#heard.add(number);
    const life = this.#life;
    table.onEvicted(({ keys }) => {
      if (life !== this.#life) return;
      this.tally.evicted += keys.length;
      if (this.#lost) this.#lost.set(number, [...(this.#lost.get(number) ?? []), ...keys]);
      else this.#become((world) => demand(world.evict(number, [...keys])));
    });
  }

  /** Notes a change before it is made, since evictions follow on it. Returns how many there are. */
  #become(change: Change): number {
    change(this.#now);
    return this.#changes.push(change);
  }

  #keys(n: number): BigUint64Array {
    return randomKeys(this.#random, n, this.#wide ? 2000 : 500);
  }

  async #write(name: string, chosen: number): Promise<void> {
    const random = this.#random;
    const table = this.#tables.get(name)!;
    const n = 1 + random.below(this.#wide ? 160 : 120);
    const keys = this.#keys(n);
    const values = randomFloats(random, chosen < 11 ? n * table.dim : 0);
    const { logged } = table.options;
    const ack = !logged || random.below(2) === 0 ? "memory" : "os";
    let state = 0;
    if (chosen === 11) {
      state = await this.#make(
        table,
        (world) => void world.members.get(name)!.oracle.delete(keys),
        () => table.delete(keys, { ack }),
      );
    } else if (chosen > 11) {
      state = await this.#make(
        table,
        (world) => void world.members.get(name)!.oracle.pull(keys, { create: true }),
        () => table.pull(keys, { create: true }),
      );
    } else if (chosen > 8) {
      const states = random.below(2) === 0 ? randomFloats(random, n * table.stateFloats) : undefined;
      const column = () => Uint32Array.from({ length: n }, () => random.below(20));
      const history = random.below(2) === 0 ? { frequency: column(), lastStep: column() } : undefined;
      const { names } = table.options.counters ?? { names: [] };
      const counters =
        names.length > 0 && random.below(2) === 0
          ? Object.fromEntries(names.map((one) => [one, randomFloats(random, n).map(Math.abs)]))
          : undefined;
      const given = { ...(states && { state: states }), ...history, ...(counters && { counters }) };
      state = await this.#make(
        table,
        (world) => world.assign(name, keys, values, states, history, counters),
        () => table.assign(keys, values, { ack, ...given }),
      );
    } else {
      const named = table.options.counters?.names ?? [];
      this.#step += random.below(3);
      const given = {
        step: this.#step,
        ...(named.length > 0 &&
          random.below(2) === 0 && {
            counters: { [named[named.length - 1]]: randomFloats(random, n).map(Math.abs) },
          }),
      };
      state = await this.#make(
        table,
        (world) => world.push(name, keys, values, given),
        () => table.push(keys, values, { ...given, ack }),
      );
    }
    if (logged && ack === "os") this.#acknowledged = Math.max(this.#acknowledged, state);
  }

  async #decay(name: string): Promise<void> {
    const table = this.#tables.get(name)!;
    if (!table.options.counters) return;
    this.tally.decays++;
    const state = this.#become((world) => world.decay(name));
    await table.decay();
    if (table.options.logged) this.#acknowledged = Math.max(this.#acknowledged, state);
  }

  async #evict(name: string): Promise<void> {
    const random = this.#random;
    const requests: EvictionRequest[] = [
      { rows: random.below(40) },
      { olderThanSteps: 1 + random.below(20) },
      { belowFrequency: 1 + random.below(3) },
      { belowNorm: 0.5 },
    ];
    const table = this.#tables.get(name)!;
    if (table.options.eviction) requests.push({ olderThanMs: 1000 * (1 + random.below(20)) });
    if (table.options.counters) requests.push({ belowScore: random.unit() });
    await table.evict(requests[random.below(requests.length)]);
  }

  async #redefine(name: string): Promise<void> {
    if (!this.#tables.get(name)!.options.eviction) return;
    const { counters } = this.#tables.get(name)!.options;
    await this.#store.table(name, {
      eviction: evictionOf(this.#random, this.#wide, counters !== undefined),
    });
  }

  /** Another table under the name. */
  async #remake(name: string): Promise<void> {
    if (this.#random.below(3) > 0) return;
    await this.#store.dropTable(name);
    this.#acknowledged = this.#become((world) => void world.members.delete(name));
    this.#tables.delete(name);
    await this.#makeMissing();
  }

  async #forget(name: string): Promise<void> {
    const table = this.#tables.get(name)!;
    // It goes in several writes: a copy that is made meanwhile may have some of them.
    if (!table.options.admission || this.#making) return;
    const state = this.#become((world) => world.members.get(name)!.oracle.candidates!.forgetAll());
    await table.forgetCandidates();
    if (table.options.logged) this.#acknowledged = Math.max(this.#acknowledged, state);
    else await this.#settle();
  }

  async #checkpoint(asVersion: boolean): Promise<void> {
    await this.#checkpointing;
    const name = asVersion ? `v${++this.#made}` : undefined;
    const from = this.#changes.length;
    const making = { name, from, begin: asVersion ? this.#now.clone() : this.#now };
    this.#making = making;
    const life = this.#life;
    this.#checkpointing = (async () => {
      try {
        await this.#store.checkpoint(asVersion ? { version: name! } : {});
      } catch (error) {
        if (life === this.#life) throw error;
        return;
      }
      if (life !== this.#life) return;
      this.#making = undefined;
      this.#checkpointed = { from, to: this.#changes.length };
      if (name === undefined) return;
      this.tally.versions++;
      this.#versions.set(name, { begin: making.begin, changes: this.#changes.slice(from) });
    })();
    this.#checkpointing.catch(() => {});
    if (this.#random.below(2) === 0) await this.#checkpointing;
  }

  /** A version by chance, whose one state is known. */
  async #someVersion(): Promise<string | undefined> {
    const name = [...this.#versions.keys()][this.#random.below(Math.max(1, this.#versions.size))];
    if (name === undefined) return undefined;
    const begin = await stateOfVersion(this.#store, name, this.#versions.get(name)!);
    this.#versions.set(name, { begin, changes: [] });
    return name;
  }

  async #openVersion(): Promise<void> {
    await this.#someVersion();
  }

  async #compareVersion(): Promise<void> {
    const name = await this.#someVersion();
    if (name === undefined) return;
    await this.#settle();
    const expected = this.#now.countsSince(this.#versions.get(name)!.begin);
    const { tables } = await this.#store.diff(name);
    for (const { table, status, added, removed, changed } of tables) {
      const counts = expected.get(table);
      if ((counts === undefined) === (status === "kept"))
        throw new Error(`${table} is ${status} since version ${name}`);
      if (counts === undefined) continue;
      const { eviction, counters } = this.#now.members.get(table)!.definition;
      // Times and counters can have changed alone.
      const right = eviction || counters ? changed >= counts.changed : changed === counts.changed;
      if (!right || added !== counts.added || removed !== counts.removed)
        throw new Error(
          `diff of ${table}: ${added}, ${removed}, ${changed}, expected ${JSON.stringify(counts)}`,
        );
    }
    // The live state was a checkpoint for it.
    this.#checkpointed = { from: this.#checkpointed.from, to: this.#changes.length };
  }

  async #deleteVersion(): Promise<void> {
    const name = [...this.#versions.keys()][this.#random.below(Math.max(1, this.#versions.size))];
    if (name === undefined) return;
    await this.#store.deleteVersion(name);
    this.#versions.delete(name);
  }

  /** Waits until nothing goes on by itself. */
  async #settle(): Promise<void> {
    await this.#checkpointing;
    await this.#quiet();
    while (this.#disk.shard!.state.arenas.moving?.done === false) await turns(1);
    await this.#quiet();
  }

  /** What the shard does by itself ends; looking at cold rows takes it longer. */
  #quiet(): Promise<void> {
    return turns(this.#hotRows === undefined ? 20 : 250);
  }

  async #rollBack(): Promise<void> {
    const name = await this.#someVersion();
    if (name === undefined) return;
    await this.#settle();
    this.tally.rollbacks++;
    const there = this.#versions.get(name)!.begin;
    this.#lost = new Map();
    const rolling = this.#store.rollback(name).then(async () => {
      // Those that come back and were not there in this process evict in the turns that follow.
      for (const { name } of await this.#store.tables()) this.#hear(await this.#store.table(name));
    });
    if (this.#random.below(4) === 0) {
      rolling.catch(() => {});
      await turns(this.#random.below(30));
      const gone = this.#losses();
      this.#lost = undefined;
      return this.#die({ begin: there, changes: gone });
    }
    await rolling;
    await this.#becomeOf(there);
  }

  /** Is a world that is known, but for rows that went since. */
  async #becomeOf(world: CombinedWorld): Promise<void> {
    await this.#quiet();
    const difference = await this.#lostFrom(world);
    if (difference !== undefined) throw new Error(`what was rolled back to: ${difference}`);
    await this.#goOnFrom(world);
  }

  /** What was lost meanwhile follows on what was found: of unlogged tables it may be lost again. */
  async #goOnFrom(found: CombinedWorld): Promise<void> {
    this.#base = found;
    this.#now = found.clone();
    this.#changes = [];
    for (const change of this.#losses()) this.#become(change);
    this.#lost = undefined;
    this.#acknowledged = 0;
    this.#checkpointed = { from: 0, to: 0 };
    this.#making = undefined;
    this.#checkpointing = Promise.resolve();
    await this.#makeMissing();
  }

  #losses(): Change[] {
    return [...this.#lost!].map(
      ([number, keys]) =>
        (world) =>
          demand(world.evict(number, keys)),
    );
  }

  /** How the store differs from a world without the rows that were lost meanwhile, in words. */
  async #lostFrom(before: CombinedWorld): Promise<string | undefined> {
    const world = before.clone();
    for (const [number, keys] of this.#lost!) {
      const wrong = world.evict(number, keys);
      if (wrong !== undefined) return wrong;
    }
    const { tables } = this.#disk.shard!;
    return world.difference(this.#store, (name) => tables.get(name)!);
  }

  async #end(killed: boolean): Promise<void> {
    if (killed) return this.#die();
    await this.#settle();
    const before = recordsOf(this.#disk.shard!);
    this.#acknowledged = this.#changes.length;
    // Cold rows that are being let go as it closes still go.
    await this.#store.close();
    this.#life++;
    this.#lost = new Map();
    await this.#open();
    demand(before.differenceFrom(recordsOf(this.#disk.shard!)));
    await this.#recover();
  }

  /** Ends the process; `other` is what there may be instead. */
  async #die(other?: Span): Promise<void> {
    this.tally.kills++;
    this.#disk.kill();
    this.#clock.forget();
    this.#life++;
    this.#lost = new Map();
    await this.#open();
    await this.#recover(other);
  }

  async #recover(other?: Span): Promise<void> {
    for (const name of (await this.#store.tables()).map(({ name }) => name)) {
      const table = await this.#store.table(name);
      this.#tables.set(name, table);
      this.#hear(table);
    }
    for (const { name } of await this.#store.versions()) {
      const making = this.#making;
      if (this.#versions.has(name)) continue;
      if (making?.name !== name) throw new Error(`version ${name} was not made`);
      this.#versions.set(name, { begin: making.begin, changes: this.#changes.slice(making.from) });
    }
    for (const name of this.#versions.keys())
      if (!(await this.#store.versions()).some((version) => version.name === name))
        throw new Error(`version ${name} is missing`);
    await this.#quiet();
    const unlogged = await this.#unlogged();
    let whole: CombinedWorld | undefined;
    const found = await firstOf(this.#base, this.#changes, this.#acknowledged, async (world) => {
      const found: string[] = [];
      for (const then of unlogged) {
        whole = world.withUnlogged(then);
        const difference = await this.#lostFrom(whole);
        if (difference === undefined) return undefined;
        found.push(difference);
      }
      return found.join("; ");
    });
    if (typeof found !== "string") return this.#goOnFrom(whole!);
    const others = other && (await firstOf(other.begin, other.changes, 0, (world) => this.#lostFrom(world)));
    if (others !== undefined && typeof others !== "string") return this.#goOnFrom(others.world);
    throw new Error(`what was recovered is none of its states:\n${found}\n${others}`);
  }

  /** The states that unlogged tables may be in. */
  async #unlogged(): Promise<CombinedWorld[]> {
    const { from, to } = this.#checkpointed;
    const logged = [...this.#now.members.values()].every(({ definition }) => definition.logged);
    if (logged) return [this.#now];
    // A hand-over of unlogged tables ends with a checkpoint that nobody asked for.
    const end = this.#making || this.#wide ? this.#changes.length : to;
    const worlds: CombinedWorld[] = [];
    const world = this.#base.clone();
    for (let k = 0; k <= end; k++) {
      if (k > 0) this.#changes[k - 1](world);
      if (k >= from) worlds.push(world.clone());
    }
    return worlds;
  }
}
