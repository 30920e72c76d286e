// At most once: which pushes of which workers a shard has applied, so that a push that comes again is answered and not
// applied. docs/at-most-once.md is the document.
import { EmbershardError } from "../base/errors.js";
import { slotCount } from "./arena-set.js";
import { type SlotRange, type SlotSequenceNote, SlotSequences } from "./slot-sequences.js";

/** Where a push comes from: what makes it one and the same push, however often it is sent. */
export interface PushOrigin extends SlotRange {
  /** The number that the shard gave the worker. */
  readonly worker: number;
  /** u64 */
  readonly session: bigint;
  /** u64, from 1; rises with each push of the session, and is the same in all of its frames. More rows of a slot than one frame takes are several pushes. */
  readonly sequence: bigint;
  /** The worker's step counter, u64. */
  readonly clock: bigint;
}

/** What is known of a worker. */
export interface KnownWorker {
  /** 1 to 2^32 - 1; never given twice. */
  readonly number: number;
  readonly name: string;
  session: bigint;
  /** The highest clock of the session; undefined before its first push. */
  clock: bigint | undefined;
  slots: SlotSequences;
  /** LSN of the last record that tells of it. */
  lsn: number;
  /** The period in which it last asked for anything. */
  seen: number;
}

/** A worker as manifests have it; u64 in decimal. */
export interface WorkerNote {
  readonly number: number;
  readonly name: string;
  readonly session: string;
  readonly clock?: string | undefined;
  readonly slots: readonly SlotSequenceNote[];
}

/** All workers, as manifests have them. */
export interface WorkersNote {
  /** The number that the next worker gets. */
  readonly next: number;
  readonly known: readonly WorkerNote[];
}

/** What a record of type 8 says: a session of a worker begins; or workers have not been seen for long, and are forgotten. */
export type WorkerRecord =
  | { readonly number: number; readonly name: string; readonly session: string }
  | { readonly expired: readonly number[] };

/** The workers that a shard knows. */
export class Sequences {
  readonly #byNumber = new Map<number, KnownWorker>();
  readonly #byName = new Map<string, KnownWorker>();
  #next = 1;
  /** Periods since the shard was opened: what workers' silence is measured in. Not times, which jump. */
  #period = 0;

  /** As a manifest has them, all just seen; `lsn` is that of its instant. */
  static of(note: WorkersNote | undefined, lsn: number): Sequences {
    const sequences = new Sequences();
    sequences.#next = note?.next ?? 1;
    for (const { number, name, session, clock, slots } of note?.known ?? [])
      sequences.#add({
        number,
        name,
        session: BigInt(session),
        clock: clock === undefined ? undefined : BigInt(clock),
        slots: SlotSequences.of(slots),
        lsn,
        seen: 0,
      });
    return sequences;
  }

  get workers(): ReadonlyMap<number, Readonly<KnownWorker>> {
    return this.#byNumber;
  }

  named(name: string): KnownWorker | undefined {
    return this.#byName.get(name);
  }

  /** The number that the next worker gets. */
  get next(): number {
    return this.#next;
  }

  /** Undefined where there never was a worker. */
  note(): WorkersNote | undefined {
    if (this.#next === 1) return undefined;
    const known = [...this.#byNumber.values()].map(({ number, name, session, clock, slots }) => ({
      number,
      name,
      session: session.toString(),
      clock: clock?.toString(),
      slots: slots.notes(),
    }));
    return { next: this.#next, known };
  }

  /** Does what a record says that has `lsn`. */
  apply(record: WorkerRecord, lsn: number): void {
    if ("expired" in record) {
      for (const number of record.expired) this.#remove(number);
      return;
    }
    const { number, name, session } = record;
    this.#next = Math.max(this.#next, number + 1);
    this.#remove(number);
    const slots = new SlotSequences();
    this.#add({ number, name, session: BigInt(session), clock: undefined, slots, lsn, seen: this.#period });
  }

  /**
   * The slots of a push that have not had it yet, of its range; none where it has been applied.
   *
   * @throws FENCED, SESSION_EXPIRED, INVALID_ARGUMENT
   */
  left(origin: PushOrigin): SlotRange[] {
    const worker = this.#demand(origin);
    const { sequence, first, last } = origin;
    if (sequence < 1n || !(first >= 0 && first <= last && last < slotCount))
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `found sequence ${sequence} for slots ${first} to ${last}, expected a sequence from 1 and slots of 0 to ${slotCount - 1}`,
      );
    return worker.slots.left(origin, sequence);
  }

  /** Notes that a push has been applied; `lsn` is that of its record, 0 without one. */
  applied(origin: PushOrigin, lsn: number): void {
    const worker = this.#demand(origin);
    worker.slots.raise(origin, origin.sequence);
    worker.seen = this.#period;
    worker.lsn = Math.max(worker.lsn, lsn);
    noteClock(worker, origin.clock);
  }

  /** LSN of the last record that tells of a worker. */
  lsnOf({ worker }: Pick<PushOrigin, "worker">): number {
    return this.#byNumber.get(worker)?.lsn ?? 0;
  }

  /** Notes that a worker has asked for something; of a worker that is not known nothing. */
  seen(number: number, clock?: bigint): void {
    const worker = this.#byNumber.get(number);
    if (!worker) return;
    worker.seen = this.#period;
    if (clock !== undefined) noteClock(worker, clock);
  }

  beginPeriod(): void {
    this.#period++;
  }

  /** Numbers of workers that were not seen in the last `periods` whole ones, nor since. */
  unseenFor(periods: number): number[] {
    return [...this.#byNumber.values()]
      .filter(({ seen }) => this.#period - seen > periods)
      .map(({ number }) => number);
  }

  /** The lowest of the workers' highest clocks; undefined where none has told one. */
  lowestClock(): bigint | undefined {
    let lowest: bigint | undefined;
    for (const { clock } of this.#byNumber.values())
      if (clock !== undefined && (lowest === undefined || clock < lowest)) lowest = clock;
    return lowest;
  }

  #demand({ worker: number, session }: PushOrigin): KnownWorker {
    const worker = this.#byNumber.get(number);
    if (worker && session < worker.session) throw fenced(worker.name, session, worker.session);
    if (worker?.session === session) return worker;
    throw sessionExpired(worker?.name ?? `number ${number}`, session);
  }

  #add(worker: KnownWorker): void {
    this.#byNumber.set(worker.number, worker);
    this.#byName.set(worker.name, worker);
  }

  #remove(number: number): void {
    const worker = this.#byNumber.get(number);
    if (!worker) return;
    this.#byNumber.delete(number);
    this.#byName.delete(worker.name);
  }
}

function noteClock(worker: KnownWorker, clock: bigint): void {
  if (worker.clock === undefined || clock > worker.clock) worker.clock = clock;
}

export function fenced(name: string, session: bigint, current: bigint): EmbershardError {
  return new EmbershardError(
    "FENCED",
    `session ${session} of worker "${name}" is over, since session ${current} has begun: end this process, or give each worker a name of its own`,
  );
}

export function sessionExpired(name: string, session: bigint): EmbershardError {
  return new EmbershardError(
    "SESSION_EXPIRED",
    `session ${session} of worker "${name}" is not known here: it has not been seen for too long, or its record was lost. Begin a new session; what was pushed and not acknowledged may or may not have been applied`,
  );
}
