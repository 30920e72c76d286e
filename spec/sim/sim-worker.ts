// A worker: a process that opens the store with the client and calls it, several calls at a time.
import type { Ack } from "../../lib/api/table-definition.js";
import { EmbershardError, type ErrorCode } from "../../lib/base/errors.js";
import { connectIn } from "../../lib/client/open-client.js";
import type { PartialError } from "../../lib/client/partial-error.js";
import { PlanMemories } from "../../lib/client/plan-memory.js";
import type { Store, Table } from "../../lib/index.js";
import { pick, time, weighted } from "./chance.js";
import type { SimProcess } from "./process.js";
import type { ReadTicket } from "./shard-model.js";
import { nameOfWrite, type SimPart, type SimWrite, textOfWrite } from "./sim-write.js";
import type { ReadRow } from "./table-model.js";
import { type VersionCall, VersionCalls, versionNames } from "./version-calls.js";
import type { World } from "./world.js";

/** What may keep a call from being done while things go wrong, and helps when it is called again. */
const excused: readonly ErrorCode[] = [
  "DEADLINE",
  "UNAVAILABLE",
  "READ_ONLY",
  "OVERLOADED",
  "STALE_EPOCH",
  "IO",
  "ABORTED",
];
const calls = {
  push: 40,
  pull: 30,
  create: 5,
  assign: 5,
  delete: 5,
  contains: 5,
  occurrences: 5,
  checkpoint: 2,
  sweep: 3,
  version: 6,
};
/** What is done with versions. */
const versionCalls: Readonly<Record<VersionCall, number>> = {
  make: 5,
  list: 1,
  "read version": 3,
  "roll back": 2,
  "delete version": 1,
};

/** Shared by all stories: kernels are what takes longest to make. */
const memories = new PlanMemories();

interface Read {
  readonly table: string;
  readonly key: bigint;
  readonly read: ReadRow;
}

export class SimWorker {
  readonly name: string;
  readonly session: bigint;
  readonly process: SimProcess;
  /** Resolves when it has made its calls, or can make none any more. */
  readonly done: Promise<void>;
  /** Why it can make no more. */
  over: ErrorCode | undefined;
  #left: number;
  readonly #world: World;
  readonly #who: string;
  readonly #running = new Set<Promise<void>>();
  readonly #tables: Table[] = [];
  #store: Store | undefined;
  #sequence = 0;
  readonly #thorough: boolean;

  /** Begins a session; makes `calls` calls. One that is thorough looks at all versions in the end. */
  constructor(world: World, name: string, calls: number, thorough = false) {
    this.#thorough = thorough;
    this.#world = world;
    this.name = name;
    this.session = (world.sessions.get(name) ?? 0n) + 1n;
    world.sessions.set(name, this.session);
    this.#who = `${name}.${this.session}`;
    this.process = world.process(this.#who);
    this.#left = calls;
    this.done = this.#live().catch((error) => world.violate(`${this.#who} fails: ${(error as Error).stack}`));
  }

  /** Calls that it has not begun. */
  get left(): number {
    return this.#left;
  }

  jumpClock(ms: number): void {
    this.#tell(() => `has its clock set by ${ms.toFixed(0)} ms`);
    this.process.clock.jump(ms);
  }

  kill(): void {
    this.#tell(() => "is killed");
    this.process.kill(this.process.random.below(3) === 0);
  }

  async #live(): Promise<void> {
    const { random } = this.process;
    const atOnce = 1 + random.below(3);
    await this.#open();
    while (this.#left > 0 && !this.over) {
      this.#left--;
      const running = this.#call().finally(() => this.#running.delete(running));
      this.#running.add(running);
      if (this.#running.size >= atOnce || random.below(2) > 0) await Promise.all(this.#running);
      if (random.below(2) === 0) await this.process.wait(time(random, 0, 40));
    }
    await Promise.all(this.#running);
    if (this.#thorough && !this.over)
      await this.#attempt("look at all versions", () =>
        new VersionCalls(this.#world, this.#store!).demandAll(),
      );
    await this.#store?.close();
    this.#tell(() => (this.over ? `ends: ${this.over}` : "has made its calls"));
  }

  /** Connects and opens the tables, again and again until it works. */
  async #open(): Promise<void> {
    const { random, clock, connecting } = this.process;
    const deadlineMs = pick(random, [300, 2000, 30_000]);
    while (!this.over) {
      try {
        this.#store ??= await connectIn(
          {
            transport: connecting,
            clock,
            random: () => random.unit(),
            uniqueName: () => this.#who,
            memories,
            // So small that a push is cut as large ones are.
            writeFrameBytes: pick(random, [undefined, 60, 200]),
          },
          this.#world.address,
          { worker: this.name, session: this.session, deadlineMs, connectMs: 100 + random.below(2000) },
        );
        for (const [name, options] of Object.entries(this.#world.tables).slice(this.#tables.length))
          this.#tables.push(await this.#store.table(name, options));
        this.#tell(() => `is connected, deadline ${deadlineMs} ms`);
        return;
      } catch (error) {
        this.#judge("open", error);
        await this.process.wait(time(random, 10, 200));
      }
    }
  }

  #call(): Promise<void> {
    const { random } = this.process;
    const kind = weighted(random, this.#world.manyVersions ? { ...calls, version: 100 } : calls);
    switch (kind) {
      case "push":
      case "assign":
      case "delete":
        return this.#write(kind);
      case "version":
        return this.#onVersions();
      case "sweep":
        return this.#sweep();
      case "checkpoint":
        return this.#attempt("checkpoint", () => this.#store!.checkpoint());
      default:
        return this.#read(kind);
    }
  }

  /** A write to all slots that changes no row: those beside it are made all the same. */
  #sweep(): Promise<void> {
    const table = pick(this.process.random, this.#tables);
    const { name: worker, session } = this;
    const sequence = ++this.#sequence;
    const write: SimWrite = { worker, session, sequence, kind: "evict", parts: [], step: 0, ack: "os" };
    this.#world.writes.set(nameOfWrite(write), write);
    return this.#attempt(`evict #${sequence} of nothing from ${table.name}`, async () => {
      const gone = await table.evict({ belowFrequency: 0 });
      if (gone > 0) this.#world.violate(`${this.#who}: ${gone} rows of ${table.name} were evicted`);
      for (const model of this.#world.models) model.acknowledged(write, write.ack);
    });
  }

  #onVersions(): Promise<void> {
    const { random } = this.process;
    const kind = weighted(random, versionCalls);
    const there = [...this.#world.versions.settled.keys()];
    const known = kind !== "make" && there.length > 0 && random.below(4) > 0;
    const name = pick(random, known ? there : versionNames);
    const calls = new VersionCalls(this.#world, this.#store!);
    return this.#attempt(`${kind} ${name}`, () => calls.call(kind, name), calls.excuses(kind, name));
  }

  #write(kind: Exclude<SimWrite["kind"], "evict">): Promise<void> {
    const { random } = this.process;
    const tables = kind === "push" && random.below(2) === 0 ? this.#tables : [pick(random, this.#tables)];
    const parts = tables.map((table): SimPart => {
      const keys = this.#keys();
      const whole = table.name === "sums";
      const values = Float32Array.from({ length: kind === "delete" ? 0 : keys.length * table.dim }, () =>
        whole ? random.below(9) - 4 : random.unit() - 0.5,
      );
      return { table: table.name, keys, values };
    });
    const ack = pick<Ack>(random, ["memory", "os", "os", "fsync"]);
    const { name: worker, session } = this;
    const write = {
      worker,
      session,
      sequence: ++this.#sequence,
      kind,
      parts,
      step: 1 + random.below(1000),
      ack,
    };
    this.#world.writes.set(nameOfWrite(write), write);
    return this.#attempt(textOfWrite(write), async () => {
      await this.#send(write, tables);
      for (const model of this.#world.models) model.acknowledged(write, ack);
    });
  }

  async #send({ kind, parts, step, ack }: SimWrite, tables: readonly Table[]): Promise<void> {
    const [{ keys, values }] = parts;
    if (kind === "assign") await tables[0].assign(keys, values, { ack });
    else if (kind === "delete") await tables[0].delete(keys, { ack });
    else if (parts.length === 1) await tables[0].push(keys, values, { step, ack });
    else {
      const requests = parts.map((part, i) => ({
        table: tables[i],
        keys: part.keys,
        gradients: part.values,
      }));
      await this.#store!.push(requests, { step, ack });
    }
  }

  #read(kind: "pull" | "create" | "contains" | "occurrences"): Promise<void> {
    const { random } = this.process;
    const several = kind === "pull" && random.below(2) === 0;
    const tables = several ? this.#tables : [pick(random, this.#tables)];
    const keys = tables.map(() => this.#keys());
    const what = `${kind} of ${tables.map(({ name }, i) => `${name} ${keys[i].join(" ")}`).join(", ")}`;
    const tickets = this.#world.models.map((model) => model.ask());
    return this.#attempt(what, async () => {
      const reads = several
        ? await this.#pullSeveral(tables, keys)
        : await this.#ask(kind, tables[0], keys[0]);
      this.#check(tickets, reads, `${this.#who}: ${what}`);
    });
  }

  #check(tickets: readonly ReadTicket[], reads: readonly Read[], what: string): void {
    for (const [owner, ticket] of tickets.entries()) {
      const own = reads.filter(({ table, key }) => this.#world.ownerOf(table, key) === owner);
      if (own.length > 0) this.#world.models[owner].answered(ticket, own, what);
    }
  }

  async #ask(
    kind: "pull" | "create" | "contains" | "occurrences",
    table: Table,
    keys: BigUint64Array,
  ): Promise<Read[]> {
    const { name, dim, stateFloats } = table;
    const of = (read: (i: number) => ReadRow) =>
      Array.from(keys, (key, i): Read => ({ table: name, key, read: read(i) }));
    if (kind === "contains") {
      const found = await table.contains(keys);
      return of((i) => ({ found: found[i] === 1 }));
    }
    if (kind === "occurrences") {
      const counts = await table.occurrences(keys);
      return of((i) => ({ frequency: counts[i] }));
    }
    const found = new Uint8Array(keys.length);
    const state = new Float32Array(keys.length * stateFloats);
    const rows = await table.pull(keys, { found, state, create: kind === "create" });
    return of((i) => ({
      found: found[i] === 1,
      weights: rows.subarray(i * dim, (i + 1) * dim),
      state: state.subarray(i * stateFloats, (i + 1) * stateFloats),
    }));
  }

  async #pullSeveral(tables: readonly Table[], keys: readonly BigUint64Array[]): Promise<Read[]> {
    const rows = await this.#store!.pull(tables.map((table, i) => ({ table, keys: keys[i] })));
    return tables.flatMap(({ name, dim }, t) =>
      Array.from(keys[t], (key, i): Read => {
        return { table: name, key, read: { weights: rows[t].subarray(i * dim, (i + 1) * dim) } };
      }),
    );
  }

  /** Some keys, now and then one twice. */
  #keys(): BigUint64Array {
    const { random } = this.process;
    return BigUint64Array.from({ length: 1 + random.below(10) }, () =>
      BigInt(random.below(this.#world.scale.keys)),
    );
  }

  async #attempt(
    what: string,
    work: () => Promise<unknown>,
    also: (code: ErrorCode) => boolean = () => false,
  ): Promise<void> {
    this.#tell(() => what);
    try {
      await work();
      this.#tell(() => `done: ${what}`);
    } catch (error) {
      this.#judge(what, error, also);
    }
  }

  /** A call has failed, or parts of it: may they have? */
  #judge(what: string, error: unknown, also: (code: ErrorCode) => boolean = () => false): void {
    this.#tell(() => `failed: ${what}: ${(error as Error).message}`);
    const causes = errorsOf(error);
    for (const cause of causes) {
      const { code } = cause as EmbershardError;
      this.#world.count(`a call fails with ${code}`);
      if (cause instanceof EmbershardError && (also(code) || this.#excuses(code))) continue;
      this.#world.violate(`${this.#who}: ${what}: ${(cause as Error).stack}`);
    }
    // It goes on with a new session.
    for (const { code } of causes as EmbershardError[])
      if (!excused.includes(code) && !also(code)) this.over ??= code;
  }

  #excuses(code: ErrorCode): boolean {
    const { sessions, powerWasLost, models, rollbacks } = this.#world;
    if (code === "FENCED") return this.session < sessions.get(this.name)!;
    if (code === "SESSION_EXPIRED")
      return powerWasLost || models.some(({ expired }) => expired.has(this.name));
    if (code === "TABLE_NOT_FOUND") return powerWasLost || rollbacks > 0;
    return excused.includes(code);
  }

  #tell(what: () => string): void {
    this.#world.tell(this.#who, what);
  }
}

/** Those of the parts, where parts failed. */
function errorsOf(error: unknown): readonly unknown[] {
  if (error instanceof EmbershardError && error.code === "PARTIAL")
    return (error as PartialError).parts.map((part) => part.error);
  return [error];
}
