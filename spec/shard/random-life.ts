// A random life of a store, with its oracle: what was done, and what each table was after each thing done.

import type { AdmissionOptions } from "../../lib/api/admission.js";
import { normal, uniform, zeros } from "../../lib/api/initializers.js";
import { adagrad, adam, ftrl, type OptimizerDefinition, sgd } from "../../lib/api/optimizers.js";
import type { Store, Table } from "../../lib/api/store-types.js";
import type { TableOptions } from "../../lib/api/table-definition.js";
import { Prng } from "../../lib/base/prng.js";
import type { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { differenceFrom, oracleOf } from "../laws/oracle-of.js";

export type Action =
  | {
      readonly do: "push" | "assign" | "delete" | "create";
      readonly table: number;
      readonly n: number;
      readonly seed: number;
      readonly wait: boolean;
    }
  | { readonly do: "pushAll"; readonly n: number; readonly seed: number; readonly wait: boolean }
  | { readonly do: "read"; readonly table: number; readonly n: number; readonly seed: number }
  | { readonly do: "prefetch"; readonly table: number; readonly n: number; readonly seed: number }
  | { readonly do: "checkpoint"; readonly wait: boolean; readonly abort: number }
  | { readonly do: "drop"; readonly table: number; readonly dim: number }
  | { readonly do: "version"; readonly wait: boolean; readonly abort: number }
  | { readonly do: "openVersion" | "deleteVersion"; readonly which: number }
  /** `cut` ends the process after some turns of a rollback. */
  | { readonly do: "rollback"; readonly which: number; readonly cut: number }
  | { readonly do: "turns"; readonly n: number }
  | { readonly do: "reopen" | "kill" };

interface Model {
  /** Of one making of a table: a table made anew under a name has another. */
  readonly id: number;
  readonly options: TableOptions;
  readonly oracle: OracleTable;
}

/** What the store is after each write, tables by name; a write replaces the models that it changes. */
interface State {
  readonly tables: ReadonlyMap<string, Model>;
  readonly mark: number | undefined;
}

const optimizers: readonly OptimizerDefinition[] = [
  sgd({ learningRate: 0.1 }),
  adagrad({ learningRate: 0.05, initialAccumulator: 0.1 }),
  adam({ learningRate: 0.01, step: "table" }),
  ftrl({ learningRate: 0.1, lambda1: 0.01 }),
];
const admissions: readonly (AdmissionOptions | undefined)[] = [
  undefined,
  undefined,
  { after: 2 },
  { probability: 0.4 },
  { after: 3, counter: { sketchBytes: 2 << 20 } },
];
const storages: readonly Pick<TableOptions, "storage" | "stateStorage" | "rounding">[] = [
  {},
  {},
  { storage: "f16" },
  { storage: "bf16", stateStorage: "bf16", rounding: "stochastic" },
  { storage: "int8", rounding: "stochastic" },
];
const initializers = [zeros(), uniform(-1, 1), normal(0, 1)];

export interface LifeOptions {
  readonly seed: number;
  readonly segmentBytes: number;
  readonly logBufferBytes: number;
  /** Keys are below it. */
  readonly keys: number;
  /** Dimensions of the tables, in order; a negative one is that of an unlogged table. */
  readonly dims: readonly number[];
  /** Rows that a logged table keeps in memory; all of them unless given. */
  readonly hotRows?: number | undefined;
}

export class RandomLife {
  readonly #disk: MemoryDisk;
  readonly #options: LifeOptions;
  #store!: EmbeddedStore;
  readonly #tables = new Map<string, Table>();
  #states: State[] = [{ tables: new Map(), mark: undefined }];
  /** What is known to survive a kill. */
  #acknowledged = 0;
  /** The states that the last checkpoint may be a copy of. */
  #checkpointed: { from: number; to: number } = { from: 0, to: 0 };
  /** Versions, and the states that each may be a copy of. */
  readonly #versions = new Map<string, readonly State[]>();
  /** Versions that are being made, and the first state that each may be a copy of. */
  readonly #making = new Map<string, number>();
  /** States from here on are those of a version that may have been rolled back to. */
  #rolledBack = Number.POSITIVE_INFINITY;
  readonly #underWay = new Set<Promise<void>>();
  /** The states of writes that have not resolved. */
  readonly #pending = new Set<number>();
  #checkpointing = 0;
  #life = 0;
  #made = 0;
  #step = 1;

  constructor(options: LifeOptions) {
    this.#options = options;
    this.#disk = new MemoryDisk(options.seed);
    // What is done while pages are on their way belongs to versions that are being made.
    const random = new Prng(options.seed);
    this.#disk.pages.schedule = async () => {
      for (let n = random.below(10); n > 0; n--) await new Promise((resolve) => setImmediate(resolve));
    };
  }

  async begin(): Promise<void> {
    await this.#open();
    for (let i = 0; i < this.#options.dims.length; i++) await this.#make(i, this.#options.dims[i]);
  }

  async act(action: Action): Promise<void> {
    switch (action.do) {
      case "push":
      case "assign":
      case "delete":
      case "create":
        return this.#write(action);
      case "pushAll":
        return this.#pushAll(action);
      case "read":
        return this.#read(action);
      case "prefetch": {
        const reading = this.#tables
          .get(nameOf(action.table))!
          .prefetch(this.#keys(new Prng(action.seed), action.n));
        reading.catch(() => {});
        return;
      }
      case "checkpoint":
        return this.#checkpoint(action);
      case "version":
        return this.#checkpoint(action, `v${++this.#made}`);
      case "openVersion":
        return this.#openVersion(action);
      case "deleteVersion": {
        const name = this.#versionAt(action.which);
        if (name === undefined) return;
        await this.#store.deleteVersion(name);
        this.#versions.delete(name);
        return;
      }
      case "rollback":
        return this.#rollback(action);
      case "drop": {
        await this.#settle();
        const name = nameOf(action.table);
        const unlogged = this.#now.tables.get(name)!.options.logged === false;
        this.#tables.delete(name);
        const before = this.#store.dropTable(name);
        const tables = new Map(this.#now.tables);
        tables.delete(name);
        this.#track(before, this.#become({ tables }));
        await this.#make(action.table, unlogged ? -action.dim : action.dim);
        return;
      }
      case "turns":
        for (let i = 0; i < action.n; i++) await new Promise((resolve) => setImmediate(resolve));
        return;
      case "reopen": {
        const closing = this.#store.close();
        await this.#settle();
        await closing;
        return this.#reopen(this.#states.length - 1);
      }
      case "kill":
        return this.#kill(this.#states.length);
    }
  }

  async #kill(statesEnd: number): Promise<void> {
    this.#disk.kill();
    this.#underWay.clear();
    this.#life++;
    const making = [...this.#making].map(
      ([name, from]) => [name, this.#states.slice(from, statesEnd)] as const,
    );
    this.#making.clear();
    await this.#reopen(this.#acknowledged, new Map(making));
  }

  async end(): Promise<void> {
    await this.act({ do: "reopen" });
    await this.act({ do: "reopen" });
    await this.#store.close();
  }

  get #now(): State {
    return this.#states[this.#states.length - 1];
  }

  async #open(): Promise<void> {
    const { segmentBytes, logBufferBytes, hotRows } = this.#options;
    // Roomy arenas: a hand-over ends with a checkpoint that this life would not know of.
    this.#store = await this.#disk.open({
      segmentBytes,
      logBufferBytes,
      arenaBytes: 512 << 20,
      ...(hotRows !== undefined && { hotRows: () => hotRows }),
    });
  }

  /** The state that the last write made; returns its number. */
  #become(change: Partial<State>): number {
    this.#states.push({ ...this.#now, ...change });
    return this.#states.length - 1;
  }

  #changed(name: string, change: (oracle: OracleTable) => void): ReadonlyMap<string, Model> {
    const tables = new Map(this.#now.tables);
    const model = tables.get(name)!;
    const oracle = model.oracle.clone();
    change(oracle);
    tables.set(name, { ...model, oracle });
    return tables;
  }

  /** Of an unlogged table nothing is promised, nor of what came before it. */
  #track(work: Promise<unknown>, state: number, promised = true): Promise<void> {
    const life = this.#life;
    this.#pending.add(state);
    const tracked = work.then(() => {
      if (life === this.#life) this.#pending.delete(state);
      if (promised && life === this.#life) this.#acknowledged = Math.max(this.#acknowledged, state);
    });
    this.#underWay.add(tracked);
    // A rejection is seen when it is waited for, and a killed store's promises are nobody's.
    tracked.then(
      () => this.#underWay.delete(tracked),
      () => {},
    );
    return tracked;
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#underWay);
  }

  async #make(i: number, dim: number): Promise<void> {
    const random = new Prng(this.#options.seed + 31 * ++this.#made);
    const options: TableOptions = {
      dim: Math.abs(dim),
      optimizer: optimizers[random.below(optimizers.length)],
      initializer: initializers[random.below(initializers.length)],
      seed: random.u32(),
      ...storages[random.below(storages.length)],
      ...(dim < 0 && { logged: false }),
      ...(dim > 0 && this.#options.hotRows !== undefined && { memory: 1 << 20 }),
    };
    const admission = admissions[random.below(admissions.length)];
    const table = await this.#store.table(nameOf(i), { ...options, ...(admission && { admission }) });
    this.#tables.set(nameOf(i), table);
    const model = { id: this.#made, options, oracle: oracleOf(table.options) };
    this.#acknowledged = this.#become({ tables: new Map(this.#now.tables).set(nameOf(i), model) });
  }

  async #write(action: Extract<Action, { table: number; wait: boolean }>): Promise<void> {
    const random = new Prng(action.seed);
    const name = nameOf(action.table);
    const table = this.#tables.get(name)!;
    const { logged } = table.options;
    const keys = this.#keys(random, action.n);
    const values = floats(random, action.n * table.dim);
    const mark = action.do === "create" || !logged || random.below(3) > 0 ? undefined : random.u32();
    const options = mark === undefined ? {} : { mark: markOf(mark) };
    const kept = mark === undefined ? {} : { mark };
    const step = this.#step++;
    const done = (() => {
      switch (action.do) {
        case "push":
          return this.#track(
            table.push(keys, values, { ...options, step }),
            this.#become({
              tables: this.#changed(name, (oracle) => oracle.push(keys, values, { step })),
              ...kept,
            }),
            logged,
          );
        case "assign": {
          const state = random.below(2) === 0 ? floats(random, action.n * table.stateFloats) : undefined;
          const history = random.below(2) === 0 ? historyOf(random, action.n) : undefined;
          return this.#track(
            table.assign(keys, values, { ...options, ...(state && { state }), ...history }),
            this.#become({
              tables: this.#changed(name, (oracle) => oracle.assign(keys, values, state, history)),
              ...kept,
            }),
            logged,
          );
        }
        case "delete":
          return this.#track(
            table.delete(keys, options),
            this.#become({ tables: this.#changed(name, (oracle) => oracle.delete(keys)), ...kept }),
            logged,
          );
        case "create":
          return this.#track(
            table.pull(keys, { create: true }),
            this.#become({ tables: this.#changed(name, (oracle) => oracle.pull(keys, { create: true })) }),
            logged,
          );
      }
    })();
    // A pull reads after it has created, and the store may be closed by then.
    if (action.wait || action.do === "create") await done;
  }

  async #pushAll({ n, seed, wait }: Extract<Action, { do: "pushAll" }>): Promise<void> {
    const random = new Prng(seed);
    const step = this.#step++;
    const requests = [...this.#tables.values()].map((table) => ({
      table,
      keys: this.#keys(random, n),
      gradients: floats(random, n * table.dim),
    }));
    const pushing = this.#store.push(requests, { step });
    let tables = this.#now.tables;
    for (const { table, keys, gradients } of requests) {
      const model = tables.get(table.name)!;
      const oracle = model.oracle.clone();
      oracle.push(keys, gradients, { step });
      tables = new Map(tables).set(table.name, { ...model, oracle });
    }
    const done = this.#track(pushing, this.#become({ tables }));
    if (wait) await done;
  }

  async #read({ table: i, n, seed }: Extract<Action, { do: "read" }>): Promise<void> {
    await this.#settle();
    const name = nameOf(i);
    const table = this.#tables.get(name)!;
    const { oracle } = this.#now.tables.get(name)!;
    const keys = this.#keys(new Prng(seed), n);
    const [found, foundThere] = [new Uint8Array(n), new Uint8Array(n)];
    const [state, stateThere] = [
      new Float32Array(n * table.stateFloats),
      new Float32Array(n * table.stateFloats),
    ];
    const fallback = seed % 2 === 0 ? {} : { default: 0.5 };
    const rows = await table.pull(keys, { found, state, ...fallback });
    same(rows, oracle.pull(keys, { found: foundThere, state: stateThere, ...fallback }), `pull of ${name}`);
    same(state, stateThere, `state of ${name}`);
    same(found, foundThere, `found of ${name}`);
    same(await table.contains(keys), foundThere, `contains of ${name}`);
    const occurrences = Uint32Array.from(keys, (key) => oracle.occurrences(key));
    same(await table.occurrences(keys), occurrences, `occurrences of ${name}`);
  }

  /** The version of a number; undefined where there is none. */
  #versionAt(which: number): string | undefined {
    return [...this.#versions.keys()][which % Math.max(1, this.#versions.size)];
  }

  async #openVersion({ which }: { which: number }): Promise<void> {
    const name = this.#versionAt(which);
    if (name === undefined) return;
    const version = await this.#store.openVersion(name);
    const found: string[] = [];
    for (const state of this.#versions.get(name)!) {
      const difference = await differenceIn(version, state);
      if (difference === undefined) {
        this.#versions.set(name, [state]);
        await version.close();
        return;
      }
      found.push(difference);
    }
    throw new Error(`version ${name} is none of its states:\n${found.join("\n")}`);
  }

  async #rollback({ which, cut }: { which: number; cut: number }): Promise<void> {
    const name = this.#versionAt(which);
    if (name === undefined) return;
    await this.#settle();
    const rolling = this.#store.rollback(name);
    const end = this.#states.length;
    const states = this.#versions.get(name)!;
    if (cut > 0) {
      rolling.catch(() => {});
      for (let i = 1; i < cut; i++) await new Promise((resolve) => setImmediate(resolve));
      this.#rolledBack = end;
      this.#states.push(...states);
      return this.#kill(end);
    }
    await rolling;
    const found: string[] = [];
    for (const state of states) {
      const difference = await differenceIn(this.#store, state);
      if (difference === undefined) {
        // Handles of before are good for tables that are the same.
        for (const [table, model] of this.#now.tables)
          if (state.tables.get(table)?.id !== model.id) this.#tables.delete(table);
        this.#acknowledged = this.#become(state);
        this.#checkpointed = { from: this.#acknowledged, to: this.#acknowledged };
        return this.#remake();
      }
      found.push(difference);
    }
    throw new Error(`rolled back to ${name}, it is none of its states:\n${found.join("\n")}`);
  }

  /** Opens what tables there are, and makes those that are missing. */
  async #remake(): Promise<void> {
    for (let i = 0; i < this.#options.dims.length; i++) {
      const name = nameOf(i);
      if (!this.#now.tables.has(name)) await this.#make(i, this.#options.dims[i]);
      else if (!this.#tables.has(name)) this.#tables.set(name, await this.#store.table(name));
    }
  }

  async #checkpoint({ wait, abort }: { wait: boolean; abort: number }, version?: string): Promise<void> {
    // A write that waits for cold rows takes effect later than it was called.
    const waiting = this.#options.hotRows === undefined ? [] : this.#pending;
    const from = Math.min(this.#states.length, ...waiting) - 1;
    const ending = abort > 0 ? new AbortController() : undefined;
    const life = this.#life;
    this.#checkpointing++;
    if (version !== undefined) this.#making.set(version, from);
    const work = (async () => {
      try {
        await this.#store.checkpoint({
          ...(ending && { signal: ending.signal }),
          ...(version !== undefined && { version }),
        });
        if (life !== this.#life) return;
        this.#checkpointing--;
        if (version !== undefined) {
          this.#making.delete(version);
          this.#versions.set(version, this.#states.slice(from));
        }
        this.#checkpointed = { from: Math.max(from, this.#checkpointed.from), to: this.#states.length - 1 };
      } catch (error) {
        if (life !== this.#life) return;
        this.#checkpointing--;
        if (version !== undefined) {
          this.#making.delete(version);
          // Its checkpoint may stand all the same.
          this.#checkpointed = { from: this.#checkpointed.from, to: this.#states.length - 1 };
        }
        const { code } = error as { code?: string };
        if (code !== "ABORTED" && code !== "CLOSED") throw error;
      }
    })();
    this.#underWay.add(work);
    work.then(
      () => this.#underWay.delete(work),
      () => {},
    );
    if (ending) {
      for (let i = 1; i < abort; i++) await new Promise((resolve) => setImmediate(resolve));
      ending.abort();
    }
    if (wait) await work;
  }

  /** Opens the store again and holds it to one of the states from `least` on. */
  async #reopen(least: number, made: ReadonlyMap<string, readonly State[]> = new Map()): Promise<void> {
    await this.#open();
    await this.#compareVersions(made);
    const found: string[] = [];
    for (let k = least; k < this.#states.length; k++) {
      const difference = await this.#differenceFrom(k);
      if (difference === undefined) return this.#goOnFrom(k);
      found.push(`state ${k}: ${difference}`);
    }
    throw new Error(`the store that was opened again is none of its states:\n${found.join("\n")}`);
  }

  /** Versions are those that were made, and perhaps those that were being made. */
  async #compareVersions(made: ReadonlyMap<string, readonly State[]>): Promise<void> {
    const names = (await this.#store.versions()).map(({ name }) => name);
    for (const name of this.#versions.keys())
      if (!names.includes(name)) throw new Error(`version ${name} is missing`);
    for (const name of names) {
      const states = this.#versions.get(name) ?? made.get(name);
      if (!states) throw new Error(`version ${name} was not made`);
      this.#versions.set(name, states);
    }
  }

  async #differenceFrom(k: number): Promise<string | undefined> {
    if (k >= this.#rolledBack) return differenceIn(this.#store, this.#states[k]);
    const { tables, mark } = this.#states[k];
    const names = (await this.#store.tables()).map(({ name }) => name);
    if (names.length !== tables.size)
      return `tables ${names.join(", ")}, expected ${[...tables.keys()].join(", ")}`;
    const markFound = await this.#store.mark();
    if (String(markFound) !== String(mark === undefined ? undefined : markOf(mark)))
      return `mark ${markFound}, expected ${mark}`;
    for (const [name, model] of tables) {
      if (!names.includes(name)) return `table ${name} is missing`;
      const table = await this.#store.table(name);
      if (table.dim !== model.options.dim)
        return `table ${name} has dim ${table.dim}, expected ${model.options.dim}`;
      if (model.options.logged !== false) {
        const difference = await differenceFrom(model.oracle, table);
        if (difference !== undefined) return difference;
      }
    }
    const then = await this.#unloggedAsOf(tables);
    return typeof then === "string" ? then : undefined;
  }

  /** Unlogged tables are, all together, those of one state that the last checkpoint may be a copy of. */
  async #unloggedAsOf(tables: ReadonlyMap<string, Model>): Promise<State | string> {
    const found: string[] = [];
    const { from, to } = this.#checkpointed;
    // A checkpoint that was under way may have counted just as the process ended.
    const last = this.#checkpointing > 0 ? this.#states.length - 1 : to;
    for (let j = from; j <= last; j++) {
      let difference: string | undefined;
      for (const [name, model] of tables) {
        if (model.options.logged !== false || difference !== undefined) continue;
        const table = await this.#store.table(name);
        difference = await differenceFrom(asOf(this.#states[j], name, model, table), table);
      }
      if (difference === undefined) return this.#states[j];
      found.push(`as of ${j}: ${difference}`);
    }
    return found.join("; ");
  }

  /** What is recovered is the beginning of what follows. */
  async #goOnFrom(k: number): Promise<void> {
    const { tables, mark } = this.#states[k];
    const then = k >= this.#rolledBack ? this.#states[k] : ((await this.#unloggedAsOf(tables)) as State);
    this.#rolledBack = Number.POSITIVE_INFINITY;
    const fresh = new Map<string, Model>();
    this.#tables.clear();
    for (const [name, model] of tables) {
      const table = await this.#store.table(name);
      this.#tables.set(name, table);
      fresh.set(
        name,
        model.options.logged === false ? { ...model, oracle: asOf(then, name, model, table) } : model,
      );
    }
    this.#states = [{ tables: fresh, mark }];
    this.#pending.clear();
    this.#acknowledged = 0;
    this.#checkpointing = 0;
    this.#checkpointed = { from: 0, to: 0 };
    // A kill between a table's drop and its making leaves the name free.
    await this.#remake();
  }

  #keys(random: Prng, n: number): BigUint64Array {
    const keys = new BigUint64Array(n);
    for (let i = 0; i < n; i++) {
      const key = random.below(this.#options.keys);
      keys[i] = key === 1 ? 2n ** 64n - 1n : BigInt(key);
    }
    return keys;
  }
}

/** How a store differs from a state, unlogged tables and all, in words. */
async function differenceIn(store: Store, { tables, mark }: State): Promise<string | undefined> {
  const names = (await store.tables()).map(({ name }) => name);
  if (names.length !== tables.size || names.some((name) => !tables.has(name)))
    return `tables ${names.join(", ")}, expected ${[...tables.keys()].join(", ")}`;
  if (String(await store.mark()) !== String(mark === undefined ? undefined : markOf(mark)))
    return `mark ${await store.mark()}, expected ${mark}`;
  for (const [name, model] of tables) {
    const table = await store.table(name);
    if (table.dim !== model.options.dim) return `table ${name} has dim ${table.dim}`;
    const difference = await differenceFrom(model.oracle, table);
    if (difference !== undefined) return difference;
  }
  return undefined;
}

function nameOf(i: number): string {
  return `t${i}`;
}

/** An unlogged table as it was in an earlier state: empty where that one had another of its name. */
function asOf(state: State, name: string, model: Model, table: Table): OracleTable {
  const then = state.tables.get(name);
  return then?.id === model.id ? then.oracle : oracleOf(table.options);
}

function markOf(mark: number): Uint8Array {
  return new TextEncoder().encode(String(mark));
}

function floats(random: Prng, n: number): Float32Array {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = random.unit() - 0.5;
  return values;
}

function historyOf(random: Prng, n: number): { frequency: Uint32Array; lastStep: Uint32Array } {
  const column = () => Uint32Array.from({ length: n }, () => random.u32() >>> random.below(32));
  return { frequency: column(), lastStep: column() };
}

type Column = Float32Array | Uint8Array | Uint32Array;

function same(found: Column, expected: Column, what: string): void {
  const i = found.findIndex((value, at) => !Object.is(value, expected[at]));
  if (found.length !== expected.length || i >= 0)
    throw new Error(`${what}: ${found[i]} at ${i}, expected ${expected[i]}`);
}
