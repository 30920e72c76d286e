// Workers that push from elsewhere: a session begins with a record in the log, and is forgotten with one.
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import type { Line } from "./line.js";
import { encodeJson, RECORD } from "./records.js";
import { fenced, type KnownWorker, sessionExpired, type WorkerRecord } from "./sequences.js";
import type { ShardState } from "./shard-state.js";

/** A worker is forgotten when it has not been seen for this long, unless told otherwise. */
export const usualWorkerExpiryMs = 3_600_000;
/** Its silence is measured in parts of that: it takes up to one part longer. */
const periods = 8;
/** Forgotten in one record at most. */
const expiredAtOnce = 4096;

/** Of the record of a session that begins, at most. */
const beginBytes = 2048;

/** What workers need of their shard. */
export interface WorkersOwner {
  readonly line: Line;
  readonly clock: Clock;
  readonly expiryMs: number | undefined;
  /** Whether records may be appended now. */
  readonly writable: () => boolean;
  /** @throws CLOSED, READ_ONLY */
  readonly demandWritable: () => void;
  readonly roomFor: (bytes: () => number) => Promise<void>;
  /** Waits until a record is as durable as told; undefined: it is already. */
  readonly reached: (durable: Promise<void> | undefined) => Promise<void>;
}

/** What a worker is told that has said who it is. */
export interface RegisteredWorker {
  /** What its pushes name it by. */
  readonly number: number;
  /** Whether the session was known: its sequences go on. */
  readonly known: boolean;
}

export class Workers {
  readonly #state: ShardState;
  readonly #owner: WorkersOwner;
  #cancelTimer: () => void = () => {};
  #timed = false;
  #connected: () => Iterable<number> = () => [];

  constructor(state: ShardState, owner: WorkersOwner) {
    this.#state = state;
    this.#owner = owner;
    this.#armTimer();
  }

  get known(): ReadonlyMap<number, Readonly<KnownWorker>> {
    return this.#state.sequences.workers;
  }

  /** The lowest of the workers' highest clocks; undefined where none has told one. */
  lowestClock(): bigint | undefined {
    return this.#state.sequences.lowestClock();
  }

  /** Notes that a worker is there, and its clock where it tells one. Kept in memory, and in the next checkpoint. */
  seen(number: number, clock?: bigint): void {
    this.#state.sequences.seen(number, clock);
  }

  /** Has workers whose numbers `connected` gives count as seen: who says nothing for long is there all the same. */
  attend(connected: () => Iterable<number>): void {
    this.#connected = connected;
  }

  /**
   * Begins a session of a worker, or goes on with it. Resolves when the log has it, as durable as `os`. A session that is
   * higher than the worker's last ends that one; the worker keeps its number.
   *
   * @param resume The session has begun here before: it is refused where that is not known.
   * @throws INVALID_NAME, INVALID_ARGUMENT, FENCED, SESSION_EXPIRED, OVERLOADED, READ_ONLY, CLOSED
   */
  async register(name: string, session: bigint, resume: boolean): Promise<RegisteredWorker> {
    checkWorkerName(name);
    if (typeof session !== "bigint" || session < 0n || session >= 1n << 64n)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `worker "${name}": found session ${session}, expected a bigint of 64 bits`,
      );
    const { line, demandWritable, roomFor, reached } = this.#owner;
    demandWritable();
    const number = await this.#goOn(name, session, resume);
    if (number !== undefined) return { number, known: true };
    const begun = await line.do(async () => {
      await roomFor(() => beginBytes);
      // Another may have come first.
      if (this.#current(name, session, resume)) return undefined;
      return this.#begin(name, session);
    });
    if (begun === undefined) return { number: (await this.#goOn(name, session, resume))!, known: true };
    await reached(this.#state.log.written(begun.lsn));
    return { number: begun.number, known: false };
  }

  /** The worker, where this is its session already. @throws FENCED, SESSION_EXPIRED */
  #current(name: string, session: bigint, resume: boolean): KnownWorker | undefined {
    const worker = this.#state.sequences.named(name);
    if (worker && session < worker.session) throw fenced(name, session, worker.session);
    if (worker?.session === session) return worker;
    if (resume) throw sessionExpired(name, session);
    return undefined;
  }

  async #goOn(name: string, session: bigint, resume: boolean): Promise<number | undefined> {
    const worker = this.#current(name, session, resume);
    if (!worker) return undefined;
    this.seen(worker.number);
    const { lsn, number } = worker;
    await this.#owner.reached(this.#state.log.written(lsn));
    return number;
  }

  #begin(name: string, session: bigint): { number: number; lsn: number } {
    const { sequences } = this.#state;
    this.#expire();
    const known = sequences.named(name);
    if (!known && sequences.workers.size >= LIMITS.workers)
      throw new EmbershardError(
        "OVERLOADED",
        `the shard knows ${sequences.workers.size} workers, the most it can: those that are not seen are forgotten in time; let workers keep their names when they restart`,
      );
    const number = known?.number ?? sequences.next;
    const lsn = this.#append({ number, name, session: session.toString() });
    this.#armTimer();
    return { number, lsn };
  }

  #append(record: WorkerRecord): number {
    const { log, sequences } = this.#state;
    const lsn = log.append(RECORD.worker, 0, [encodeJson(record)]);
    sequences.apply(record, lsn);
    return lsn;
  }

  /** Forgets workers that have been silent. There is nobody in the line, or who calls has it. */
  #expire(): void {
    const expired = this.#state.sequences.unseenFor(periods).slice(0, expiredAtOnce);
    if (expired.length === 0 || this.#state.log.room(beginBytes + 32 + 11 * expired.length) !== undefined)
      return;
    this.#append({ expired });
  }

  #armTimer(): void {
    if (this.#timed || this.known.size === 0) return;
    this.#timed = true;
    const delay = (this.#owner.expiryMs ?? usualWorkerExpiryMs) / periods;
    this.#cancelTimer = this.#owner.clock.after(delay, () => {
      this.#timed = false;
      this.#state.sequences.beginPeriod();
      for (const number of this.#connected()) this.seen(number);
      // Who waits in the line may be about to say something of a worker: another time.
      if (this.#owner.line.last === undefined && this.#owner.writable()) this.#expire();
      this.#armTimer();
    });
  }

  close(): void {
    this.#cancelTimer();
    // Whoever is still in the line arms none.
    this.#timed = true;
  }
}

function checkWorkerName(name: unknown): asserts name is string {
  const bytes = typeof name === "string" ? Buffer.byteLength(name) : 0;
  if (bytes >= 1 && bytes <= LIMITS.workerNameBytes) return;
  const found = typeof name === "string" ? `${bytes} bytes` : typeof name;
  throw new EmbershardError(
    "INVALID_NAME",
    `found ${found}: a worker's name is 1 to ${LIMITS.workerNameBytes} bytes of UTF-8`,
  );
}
