// What a shard must be: the oracle after exactly the records that its log has. Its order is the log's, its content what
// workers called for; that a record does each write once, and what was acknowledged stays, is demanded here.

import type { Store } from "../../lib/api/store-types.js";
import type { Ack, TableDefinition } from "../../lib/api/table-definition.js";
import { decodeJson, decodeRows, RECORD, type RowsRecord, SECTION } from "../../lib/shard/records.js";
import type { PushOrigin, WorkerRecord } from "../../lib/shard/sequences.js";
import type { Shard } from "../../lib/shard/shard.js";
import { differenceFrom } from "../laws/oracle-of.js";
import { nameOfWrite, type SimPart, type SimWrite } from "./sim-write.js";
import { meet, type ReadRow, type Stretch, TableModel } from "./table-model.js";
import { type RollbackPlan, VersionModel, type VersionPart } from "./version-model.js";
import type { World } from "./world.js";

/** How a shard's process ended. */
export type Ending = "kill" | "power" | "stop";

/** What a record did, or what happened after it. */
interface Event {
  readonly lsn: number;
  /** When: see Stretch. Its LSN, of a record. */
  readonly at: number;
  /** When among all events of the cluster that change anything. */
  readonly tick?: number | undefined;
  readonly rollback?: RollbackPlan;
  readonly define?: TableDefinition;
  readonly worker?: WorkerRecord;
  readonly origin?: PushOrigin;
  readonly write?: SimWrite;
  /** Keys that it applied of the write, as "table key". */
  readonly applied?: ReadonlySet<string>;
  /** How it was lost. */
  lost?: Ending;
}

interface ModelWorker {
  readonly name: string;
  readonly session: bigint;
  /** By slot of a key: the highest sequence. */
  readonly highest: Map<number, number>;
}

/** What is demanded of an answer that is asked for now. */
export interface ReadTicket {
  readonly life: number;
  /** The shard as it was after this record, or a later one. */
  readonly from: number;
}

export class ShardModel {
  readonly owner: number;
  readonly #world: World;
  /** Lives that were recovered. */
  #life = 0;
  #events: Event[] = [];
  readonly #tables = new Map<string, TableModel>();
  /** Of tables, by number. */
  #numbers = new Map<number, string>();
  #workers = new Map<number, ModelWorker>();
  readonly #eventsOf = new Map<SimWrite, Event[]>();
  /** The last records that must survive the process, and the power. */
  #os = 0;
  #fsync = 0;
  /** The last record that somebody is known to have seen in this life. */
  #seen = 0;
  /** By life: the records that it began with. */
  readonly #recovered: number[] = [0];
  /** Workers that it has forgotten. */
  readonly expired = new Set<string>();
  readonly versions: VersionModel;

  constructor(world: World, owner: number) {
    this.#world = world;
    this.owner = owner;
    this.versions = new VersionModel({
      moment: (lsn) => this.#momentOf(lsn),
      rolledBack: (plan) => this.#rolledBack(plan),
      violate: (what) => this.#violate(what),
    });
  }

  get name(): string {
    const { node, shard } = this.#world.map.owners[this.owner];
    return `${node}/${shard}`;
  }

  /** LSN of the last record that is known. */
  get lastLsn(): number {
    return this.#last?.lsn ?? Math.floor(this.#recovered[this.#life]);
  }

  get #last(): Event | undefined {
    return this.#events.at(-1);
  }

  /**
   * A shard has been opened, after the last one ended somehow. Demands that it is the oracle after a prefix of the records that
   * is not shorter than what was acknowledged, and follows it from now on while `alive`.
   */
  async recovered(shard: Shard, store: Store, ending: Ending, alive: () => boolean): Promise<void> {
    const lsn = shard.log.nextLsn - 1;
    const last = this.lastLsn;
    const least = { stop: last, kill: this.#os, power: this.#fsync }[ending];
    this.#world.tell(this.name, () => `is open: ${lsn} of ${last} records, acknowledged ${least}`);
    if (lsn < least)
      this.#violate(`after a ${ending} it has ${lsn} records, ${least} of ${last} must be there`);
    if (lsn < last) this.#world.count(`a ${ending} loses records`);
    const life = ++this.#life;
    for (const event of this.#events) if (event.lsn > lsn) event.lost = ending;
    this.#events = this.#events.filter(({ lost }) => lost === undefined);
    for (const table of this.#tables.values()) table.rollBack(lsn, life);
    this.#numbers = new Map();
    this.#workers = new Map();
    for (const event of this.#events) this.#remember(event);
    this.versions.opened(shard, () => alive() && life === this.#life);
    this.#recovered[life] = this.#last?.at ?? lsn;
    // What is found when it is opened is made durable.
    this.#os = this.#fsync = lsn;
    this.#seen = this.#recovered[life];
    this.#follow(shard, alive);
    await this.compare(shard, store);
  }

  /** Demands that rows and sequences are what they must be. */
  async compare(shard: Shard, store: Store): Promise<void> {
    for (const name of this.#numbers.values()) {
      const { oracle } = this.#tables.get(name)!;
      const found = shard.tables.has(name)
        ? await differenceFrom(oracle, await store.table(name))
        : `table "${name}" is not there`;
      if (found !== undefined)
        this.#violate(`it is not what its ${this.lastLsn} records make of it: ${found}`);
    }
    const known = shard.workers.known;
    for (const [number, { name, session, highest }] of this.#workers) {
      const worker = known.get(number);
      if (worker?.session !== session) {
        this.#violate(`worker ${name} has session ${worker?.session}, expected ${session}`);
        continue;
      }
      for (const [slot, expected] of highest) {
        const note = worker.slots.notes().find(([first, last]) => first <= slot && slot <= last);
        if (Number(note?.[2] ?? 0) !== expected)
          this.#violate(`slot ${slot} of ${name} has had sequence ${note?.[2]}, expected ${expected}`);
      }
    }
    if (known.size !== this.#workers.size)
      this.#violate(`it knows ${known.size} workers, expected ${this.#workers.size}`);
  }

  // Records.

  #follow({ log }: Pick<Shard, "log">, alive: () => boolean): void {
    const append = log.append.bind(log);
    const life = this.#life;
    log.append = (type, flags, parts) => {
      const lsn = append(type, flags, parts);
      if (alive() && life === this.#life) this.#appended(lsn, type, new Uint8Array(Buffer.concat(parts)));
      return lsn;
    };
  }

  #appended(lsn: number, type: number, payload: Uint8Array): void {
    if (lsn !== this.lastLsn + 1) this.#violate(`record ${lsn} follows on ${this.lastLsn}`);
    const tick = type === RECORD.checkpoint ? undefined : ++this.#world.ticks;
    const event = { ...this.#eventOf(lsn, type, payload), at: lsn, tick };
    this.#note(event);
    const { write } = event;
    if (!write) return;
    const events = this.#eventsOf.get(write);
    if (events) events.push(event);
    else this.#eventsOf.set(write, [event]);
  }

  #note(event: Event): void {
    this.#events.push(event);
    if (event.tick !== undefined) this.versions.happened(event.tick);
    this.#remember(event);
  }

  // Versions.

  #momentOf(lsn: number): { at: number; from: number; until: number } {
    const before = this.#events.filter((event) => event.lsn <= lsn);
    const next = this.#events.find((event) => event.lsn > lsn && event.tick !== undefined);
    return {
      at: before.at(-1)?.at ?? lsn,
      from: before.findLast(({ tick }) => tick !== undefined)?.tick ?? 0,
      until: next?.tick ?? Number.POSITIVE_INFINITY,
    };
  }

  /** The shard is a version again, without a record that says so. */
  #rolledBack(rollback: RollbackPlan): void {
    const { parts, generation } = rollback;
    const [part] = parts;
    const lsn = this.lastLsn;
    const last = this.#last?.at ?? lsn;
    const at = last + (lsn + 1 - last) / 2;
    this.#world.tell(
      this.name,
      () => `is ${part.name} again, of checkpoint ${part.generation}: checkpoint ${generation}`,
    );
    this.#world.count("a shard is rolled back");
    const names = [...part.numbers.values()];
    for (const [name, table] of this.#tables)
      table.goBack(names.includes(name) ? part.at : undefined, at, this.#life);
    this.#note({ lsn, at, tick: ++this.#world.ticks, rollback });
    this.#os = this.#fsync = lsn;
  }

  /** The instants at which it may have begun to be a version since some tick: from, inclusive, until, exclusive. */
  rollbacksSince(tick: number, id: string): { from: number; until: number }[] {
    const found: { from: number; until: number }[] = [];
    for (const [i, event] of this.#events.entries()) {
      if (!event.rollback?.parts.some((part) => part.id === id) || event.tick! <= tick) continue;
      const from = this.#events.slice(0, i).findLast((one) => one.tick !== undefined)?.tick ?? 0;
      found.push({ from, until: event.tick! });
    }
    return found;
  }

  /** Whoever asked for a rollback knows that it has happened. */
  rollbackKnown(): void {
    const event = this.#events.findLast(({ rollback }) => rollback !== undefined);
    this.#seen = Math.max(this.#seen, event?.at ?? 0);
  }

  /** Whether a row of a table reads like that in its part of a version. */
  readsInPart(part: VersionPart, table: string, key: bigint, read: ReadRow): boolean {
    return this.#tables.get(table)!.readsAt(key, read, part.at);
  }

  #eventOf(lsn: number, type: number, payload: Uint8Array): Omit<Event, "at"> {
    if (type === RECORD.rows) return this.#rows(lsn, decodeRows(payload)!);
    if (type === RECORD.define) {
      const define = decodeJson(payload) as TableDefinition;
      this.#world.define(define);
      if (!this.#tables.has(define.name)) this.#tables.set(define.name, new TableModel(define));
      return { lsn, define };
    }
    return type === RECORD.worker ? { lsn, worker: decodeJson(payload) as WorkerRecord } : { lsn };
  }

  /** Tables, workers and sequences after an event. */
  #remember({ define, worker, origin, rollback }: Event): void {
    if (rollback) this.#numbers = new Map(rollback.parts[0].numbers);
    if (define) this.#numbers.set(define.number, define.name);
    if (origin) this.#raise(origin);
    if (!worker) return;
    if ("expired" in worker) {
      for (const number of worker.expired) {
        this.expired.add(this.#workers.get(number)!.name);
        this.#workers.delete(number);
      }
    } else {
      const { number, name, session } = worker;
      this.#workers.set(number, { name, session: BigInt(session), highest: new Map() });
    }
  }

  #raise({ worker, sequence, first, last }: PushOrigin): void {
    const { highest } = this.#workers.get(worker)!;
    for (const slot of this.#world.slots)
      if (first <= slot && slot <= last && (highest.get(slot) ?? 0) < Number(sequence))
        highest.set(slot, Number(sequence));
  }

  #rows(lsn: number, record: RowsRecord): Omit<Event, "at"> {
    const { origin } = record;
    if (!origin) return this.#created(lsn, record);
    const worker = this.#workers.get(origin.worker);
    if (worker?.session !== origin.session) {
      this.#violate(`record ${lsn} is of session ${origin.session}, in force is ${worker?.session}`);
      return { lsn };
    }
    const { name, session } = worker;
    const sequence = Number(origin.sequence);
    const write = this.#world.writes.get(nameOfWrite({ worker: name, session, sequence }));
    if (!write) {
      this.#violate(`record ${lsn} is of a write that ${name}.${session} has not made: #${origin.sequence}`);
      return { lsn };
    }
    const applied = new Set<string>();
    for (const part of write.parts) this.#applyPart(lsn, write, part, { origin, worker, applied });
    this.#demandKeys(lsn, write, record, applied);
    const event = { lsn, origin, write, applied };
    this.#world.tell(this.name, () => `record ${lsn}: ${nameOfWrite(write)}, ${[...applied].join(", ")}`);
    return event;
  }

  /** Does what a write's frame brings to one table and its slots have not had. */
  #applyPart(
    lsn: number,
    { kind, sequence, step }: SimWrite,
    { table: name, keys, values }: SimPart,
    { origin, worker, applied }: { origin: PushOrigin; worker: ModelWorker; applied: Set<string> },
  ): void {
    const here = [...keys.keys()].filter((i) => {
      const slot = this.#world.slotOf(name, keys[i]);
      const covered = origin.first <= slot && slot <= origin.last;
      return this.#owns(name, keys[i]) && covered && (worker.highest.get(slot) ?? 0) < sequence;
    });
    if (here.length === 0) return;
    const { oracle, note } = this.#tableOf(name);
    const { dim } = oracle.definition;
    const own = here.map((i) => keys[i]);
    const rows = Float32Array.from(
      { length: kind === "delete" ? 0 : here.length * dim },
      (_, at) => values[here[Math.floor(at / dim)] * dim + (at % dim)],
    );
    if (kind === "push") oracle.push(own, rows, { step });
    else if (kind === "assign") oracle.assign(own, rows);
    else oracle.delete(own);
    note(new Set(own), lsn, this.#life);
    for (const key of own) applied.add(`${name} ${key}`);
  }

  /** What is applied again, or left out, shows at once. */
  #demandKeys(lsn: number, write: SimWrite, { parts }: RowsRecord, applied: ReadonlySet<string>): void {
    const found = new Set(
      parts.flatMap((part) => keysOf(part.keys).map((key) => `${this.#numbers.get(part.table)} ${key}`)),
    );
    const text = (keys: ReadonlySet<string>) => [...keys].sort().join(", ") || "no keys";
    // Deletes say which rows existed.
    if (write.kind === "delete" ? [...found].every((key) => applied.has(key)) : text(found) === text(applied))
      return;
    this.#violate(
      `record ${lsn} does ${nameOfWrite(write)} to ${text(found)}; what it had not been done to is ${text(applied)}`,
    );
  }

  /** Rows that a pull made. */
  #created(lsn: number, { parts }: RowsRecord): Omit<Event, "at"> {
    for (const part of parts) {
      const name = this.#numbers.get(part.table)!;
      if (part.kind !== SECTION.create)
        this.#violate(`record ${lsn} of nobody has a section of kind ${part.kind}`);
      const { oracle, note } = this.#tableOf(name);
      const keys = keysOf(part.keys);
      oracle.pull(keys, { create: true });
      note(keys, lsn, this.#life);
    }
    return { lsn };
  }

  #tableOf(name: string) {
    const table = this.#tables.get(name)!;
    return { oracle: table.oracle, note: table.note.bind(table) };
  }

  #owns(table: string, key: bigint): boolean {
    return this.#world.ownerOf(table, key) === this.owner;
  }

  // What workers are told.

  /** A write has been acknowledged: all of it that is this shard's has been applied, and stays. */
  acknowledged(write: SimWrite, ack: Ack): void {
    const events = this.#eventsOf.get(write) ?? [];
    for (const { table, keys } of write.parts)
      for (const key of keys) {
        if (!this.#owns(table, key)) continue;
        const of = events.filter(({ applied }) => applied!.has(`${table} ${key}`));
        if (of.some(({ lost }) => lost === undefined)) continue;
        const lawful = of.some(({ lost }) => ack === "memory" || (ack === "os" && lost === "power"));
        if (!lawful)
          this.#violate(`${nameOfWrite(write)} is acknowledged, and is not in key ${key} of ${table}`);
      }
    for (const { lsn, lost } of events) {
      if (lost) continue;
      this.#seen = Math.max(this.#seen, lsn);
      if (ack !== "memory") this.#os = Math.max(this.#os, lsn);
      if (ack === "fsync") this.#fsync = Math.max(this.#fsync, lsn);
    }
  }

  /** To be taken when a question is sent. */
  ask(): ReadTicket {
    return { life: this.#life, from: Math.max(this.#os, this.#seen) };
  }

  /** Demands of the answer to a question that it is what the shard was at one instant since then. */
  answered(
    ticket: ReadTicket,
    reads: readonly { table: string; key: bigint; read: ReadRow }[],
    what: string,
  ): void {
    const possible: { life: number; stretches: Stretch[] }[] = [];
    for (let life = ticket.life; life <= this.#life; life++) {
      const first = life === ticket.life ? ticket.from : this.#recovered[life];
      let stretches: Stretch[] = [{ first, end: Number.POSITIVE_INFINITY }];
      for (const { table, key, read } of reads)
        stretches = meet(stretches, this.#tables.get(table)!.stretchesOf(key, read, life));
      if (stretches.length > 0) possible.push({ life, stretches });
    }
    if (possible.length === 0) {
      this.#violate(`${what}: no state from record ${ticket.from} on reads like that: ${textOf(reads)}`);
      return;
    }
    const [{ life, stretches }] = possible;
    if (ticket.life === this.#life && life === this.#life)
      this.#seen = Math.max(this.#seen, Math.min(...stretches.map(({ first }) => first)));
  }

  #violate(what: string): void {
    this.#world.violate(`shard ${this.name}: ${what}`);
  }
}

function keysOf(bytes: Uint8Array): bigint[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i, true));
}

function textOf(reads: readonly { table: string; key: bigint; read: ReadRow }[]): string {
  const values = ({ found, weights, frequency }: ReadRow) =>
    [found === false ? "no row" : "", weights?.join(" ") ?? "", frequency ?? ""].filter(String).join(" ");
  return reads.map(({ table, key, read }) => `${table} ${key}: ${values(read)}`).join("; ");
}
