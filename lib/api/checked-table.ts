// The table that callers have: checks what it is given, and hands it to who does the work.
import { EmbershardError } from "../base/errors.js";
import {
  checkArray,
  checkCounters,
  checkCounts,
  checkEviction,
  checkFields,
  checkFlag,
  checkInteger,
  checkKeys,
  checkWork,
  checkWriteBytes,
  checkWriteKeys,
  resolveLearningRate,
  resolveStep,
  resolveWrite,
} from "./arguments.js";
import type { Backend, RowHistory, RowWrite, TableHandle, TableRead } from "./backend.js";
import { joinCounters, splitCounters } from "./counter-columns.js";
import { describe } from "./option-reader.js";
import type {
  AssignOptions,
  CandidateBatch,
  CounterColumns,
  EvictedRows,
  EvictionRequest,
  ForgetOptions,
  PullOptions,
  PushOptions,
  ScanBatch,
  ScanOptions,
  Table,
  TableStats,
  WriteOptions,
} from "./store-types.js";
import type { TableDefinition } from "./table-definition.js";

const pullFields = ["into", "found", "state", "default", "create", "counters", "signal"];
const pushFields = ["ack", "mark", "signal", "step", "learningRate", "counters"];
const assignFields = ["state", "frequency", "lastStep", "counters", "ack", "mark", "signal"];
const scanRows = 4096;
/** Bytes of rows in a batch of a scan, at most, unless the caller says how many. */
const scanBytes = 4 << 20;

/** A table over a backend. */
export class CheckedTable<T extends TableHandle> implements Table {
  readonly name: string;
  readonly #backend: Backend<T>;
  #table: T;

  constructor(backend: Backend<T>, table: T) {
    this.name = table.definition.name;
    this.#backend = backend;
    this.#table = table;
  }

  get dim(): number {
    return this.#table.dim;
  }

  get stateFloats(): number {
    return this.#table.stateFloats;
  }

  get options(): TableDefinition {
    return (this.#backend.present(this.#table) ?? this.#table).definition;
  }

  /** @internal Whether the table is of a store over `backend`. */
  isOf(backend: object): boolean {
    return backend === this.#backend;
  }

  /** @internal The table, if it is still there. @throws TABLE_NOT_FOUND */
  live(): T {
    const present = this.#backend.present(this.#table);
    if (!present) throw new EmbershardError("TABLE_NOT_FOUND", `table "${this.name}" has been dropped`);
    this.#table = present;
    return present;
  }

  async pull(keys: BigUint64Array, options: PullOptions = {}): Promise<Float32Array> {
    const read = this.prepareRead(keys, options);
    const reading = this.#backend.pull([read]);
    if (reading) await reading;
    this.finishRead(read, options);
    return read.into;
  }

  /** @internal Hands out what was read row by row. */
  finishRead({ counters }: TableRead<T>, { counters: columns }: PullOptions): void {
    if (!counters || !columns) return;
    const found = splitCounters(this.options.counters!.names, counters);
    for (const [name, column] of Object.entries(columns)) {
      if (column.length !== found[name].length)
        throw new EmbershardError(
          "INVALID_ARGUMENT",
          `pull of "${this.name}": the array of counter "${name}" was detached, or its buffer resized, meanwhile`,
        );
      column.set(found[name]);
    }
  }

  /** @internal */
  prepareRead(keys: BigUint64Array, options: PullOptions): TableRead<T> {
    const table = this.live();
    const what = `pull of "${this.name}"`;
    checkFields(what, options, pullFields);
    checkWork(what, { signal: options.signal });
    checkKeys(`${what}: keys`, keys);
    const { into, found, state } = options;
    const n = keys.length;
    const { dim, stateFloats } = table;
    if (into !== undefined)
      checkArray(`${what}: into`, into, Float32Array, { length: n * dim, says: `${n} keys of dim ${dim}` });
    if (found !== undefined)
      checkArray(`${what}: found`, found, Uint8Array, { length: n, says: "one byte a key" });
    if (state !== undefined) {
      checkArray(`${what}: state`, state, Float32Array, {
        length: n * stateFloats,
        says: `${n} keys of ${stateFloats} floats of state`,
      });
    }
    if (options.counters !== undefined) checkCounters(what, options.counters, n, table.definition);
    if (options.default !== undefined && typeof options.default !== "number") {
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `${what}: found default ${describe(options.default)}, expected a number`,
      );
    }
    checkFlag(what, "create", options.create);
    if (options.create) checkWriteKeys(`${what}: keys to create`, keys);
    return {
      table,
      keys,
      into: into ?? new Float32Array(n * dim),
      found,
      state,
      fallback: options.default,
      ...(options.counters && { counters: new Float32Array(n * table.definition.counters!.names.length) }),
      ...(options.create && { create: table.definition.ack }),
      ...(options.signal && { signal: options.signal }),
    };
  }

  async push(keys: BigUint64Array, gradients: Float32Array, options: PushOptions = {}): Promise<void> {
    checkFields(`push to "${this.name}"`, options, pushFields);
    const write = this.preparePush(keys, gradients, options.learningRate, options.counters);
    const step = resolveStep(`push to "${this.name}"`, options.step, [this.options]);
    await this.#write(write, options, step);
  }

  /** @internal */
  preparePush(
    keys: BigUint64Array,
    gradients: Float32Array,
    learningRate: number | undefined,
    counters?: CounterColumns,
  ): RowWrite<T> {
    const table = this.live();
    const what = `push to "${this.name}"`;
    checkWriteKeys(`${what}: keys`, keys);
    const says = `${keys.length} keys of dim ${table.dim}`;
    checkArray(`${what}: gradients`, gradients, Float32Array, { length: keys.length * table.dim, says });
    checkWriteBytes(what, gradients.byteLength);
    if (counters !== undefined) {
      checkCounters(what, counters, keys.length, table.definition);
      checkCounts(what, counters);
    }
    return {
      table,
      kind: "push",
      keys,
      values: gradients,
      ...(counters && { counters: joinCounters(table.definition.counters!.names, counters, keys.length) }),
      learningRate: resolveLearningRate(learningRate, table.definition),
    };
  }

  async contains(keys: BigUint64Array): Promise<Uint8Array> {
    const table = this.live();
    checkKeys(`contains of "${this.name}": keys`, keys);
    const found = new Uint8Array(keys.length);
    await this.#backend.contains(table, keys, found);
    return found;
  }

  async prefetch(keys: BigUint64Array): Promise<void> {
    const table = this.live();
    checkKeys(`prefetch of "${this.name}": keys`, keys);
    await this.#backend.prefetch(table, keys);
  }

  /** @internal Says that so many rows will be created now. A hint. */
  expectRows(rows: number): void {
    this.#backend.expectRows?.(this.live(), rows);
  }

  async assign(keys: BigUint64Array, rows: Float32Array, options: AssignOptions = {}): Promise<void> {
    const table = this.live();
    const what = `assign to "${this.name}"`;
    checkFields(what, options, assignFields);
    checkWriteKeys(`${what}: keys`, keys);
    const n = keys.length;
    checkArray(`${what}: rows`, rows, Float32Array, {
      length: n * table.dim,
      says: `${n} keys of dim ${table.dim}`,
    });
    const { state } = options;
    if (state !== undefined) {
      const says = `${n} keys of ${table.stateFloats} floats of state`;
      checkArray(`${what}: state`, state, Float32Array, { length: n * table.stateFloats, says });
    }
    checkWriteBytes(what, rows.byteLength + (state?.byteLength ?? 0));
    const states = state && table.stateFloats > 0 ? state : undefined;
    const history = checkedHistory(what, n, options);
    const counters = checkedCounters(what, n, options, table.definition);
    await this.#write(
      { table, kind: "assign", keys, values: rows, states, history, counters, learningRate: 0 },
      options,
    );
  }

  async delete(keys: BigUint64Array, options: WriteOptions = {}): Promise<number> {
    const table = this.live();
    const what = `delete from "${this.name}"`;
    checkFields(what, options, ["ack", "mark", "signal"]);
    checkWriteKeys(`${what}: keys`, keys);
    return this.#write({ table, kind: "delete", keys, learningRate: 0 }, options);
  }

  #write(write: RowWrite<T>, options: WriteOptions, step = 0): Promise<number> {
    const what = `${write.kind} on "${this.name}"`;
    return this.#backend.write([write], resolveWrite(what, options, [this.options], step));
  }

  scan(options: ScanOptions = {}): AsyncIterable<ScanBatch> {
    const table = this.live();
    checkFields(`scan of "${this.name}"`, options, ["batch", "lent"]);
    // As it is read, which is more than it takes where it is stored as less than float32.
    const rowBytes = 16 + 4 * (table.dim + table.stateFloats);
    const fitting = Math.max(1, Math.min(scanRows, Math.floor(scanBytes / rowBytes)));
    const batch = options.batch ?? fitting;
    checkInteger(`scan of "${this.name}": batch`, batch, 1, 65_536);
    checkWriteBytes(`scan of "${this.name}"`, batch * rowBytes);
    checkFlag(`scan of "${this.name}"`, "lent", options.lent);
    return this.#backend.scan(table, batch, options.lent ?? false);
  }

  async occurrences(keys: BigUint64Array): Promise<Uint32Array> {
    const table = this.live();
    checkKeys(`occurrences of "${this.name}": keys`, keys);
    const into = new Uint32Array(keys.length);
    await this.#backend.occurrences(table, keys, into);
    return into;
  }

  candidates(options: { readonly batch?: number } = {}): AsyncIterable<CandidateBatch> {
    const what = `candidates of "${this.name}"`;
    const table = this.#admitting(what);
    if (bySketch(table))
      throw new EmbershardError("UNSUPPORTED", `${what}: a sketch counts them, which does not know its keys`);
    checkFields(what, options, ["batch"]);
    const batch = options.batch ?? scanRows;
    checkInteger(`${what}: batch`, batch, 1, 65_536);
    return candidateBatches(this.#backend.candidates(table, batch));
  }

  async forgetCandidates(options: ForgetOptions = {}): Promise<number> {
    const what = `forgetCandidates of "${this.name}"`;
    const table = this.#admitting(what);
    checkFields(what, options, ["unseenSince", "atMost"]);
    const { unseenSince, atMost } = options;
    if (unseenSince !== undefined) checkInteger(`${what}: unseenSince`, unseenSince, 0, 2 ** 32);
    if (atMost !== undefined) checkInteger(`${what}: atMost`, atMost, 0, 2 ** 32);
    if (bySketch(table) && (unseenSince ?? atMost) !== undefined)
      throw new EmbershardError("UNSUPPORTED", `${what}: a sketch counts them, which can only forget all`);
    const forgotten = await this.#backend.forgetCandidates(table, options);
    return bySketch(table) ? 0 : forgotten;
  }

  #admitting(what: string): T {
    const table = this.live();
    if (table.definition.candidates !== undefined) return table;
    throw new EmbershardError(
      "UNSUPPORTED",
      `${what}: the table admits every key at once; make it with admission`,
    );
  }

  async evict(request: EvictionRequest): Promise<number> {
    const table = this.live();
    checkEviction(`evict from "${this.name}"`, request, table.definition);
    return this.#backend.evict(table, request);
  }

  onEvicted(listener: (rows: EvictedRows) => void): () => void {
    if (typeof listener !== "function") {
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `onEvicted of "${this.name}": found ${describe(listener)}, expected a function`,
      );
    }
    return this.#backend.onEvicted(this.live(), (rows) => tellSafely(this.name, listener, rows));
  }

  async decay(): Promise<void> {
    const table = this.live();
    if (table.definition.counters === undefined)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `decay of "${this.name}": the table has no counters; they are given when it is made`,
      );
    await this.#backend.decay(table);
  }

  async stats(): Promise<TableStats> {
    return this.#backend.tableStats(this.live());
  }
}

/** Whether keys without a row are counted all together. */
function bySketch({ definition }: TableHandle): boolean {
  return definition.admission !== undefined && definition.admission.counter !== "exact";
}

/** A listener that fails is its owner's to mend: the rows are gone, and the store goes on. */
function tellSafely(name: string, listener: (rows: EvictedRows) => unknown, rows: EvictedRows): void {
  const warn = (error: unknown) =>
    process.emitWarning(
      `a listener of rows evicted from "${name}" failed: ${error instanceof Error ? error.message : String(error)}`,
      "EmbershardWarning",
    );
  try {
    const told = listener(rows);
    if (told instanceof Promise) told.catch(warn);
  } catch (error) {
    warn(error);
  }
}

/** Frequencies and last steps, which come together or not at all. */
function checkedHistory(
  what: string,
  n: number,
  { frequency, lastStep }: AssignOptions,
): RowHistory | undefined {
  if (frequency === undefined && lastStep === undefined) return undefined;
  const expected = { length: n, says: "one a key; frequency and lastStep go together" };
  checkArray(`${what}: frequency`, frequency, Uint32Array, expected);
  checkArray(`${what}: lastStep`, lastStep, Uint32Array, expected);
  return { frequency, lastStep };
}

/** f32[n * counters], row by row, of all counters that a table has. */
function checkedCounters(
  what: string,
  n: number,
  { counters }: AssignOptions,
  definition: TableDefinition,
): Float32Array | undefined {
  if (counters === undefined) return undefined;
  checkCounters(what, counters, n, definition);
  const { names } = definition.counters!;
  const missing = names.find((name) => counters[name] === undefined);
  if (missing !== undefined)
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `${what}: found no counters.${missing}, expected ${names.join(" and ")}: counters are assigned together`,
    );
  checkCounts(what, counters);
  return joinCounters(names, counters, n);
}

async function* candidateBatches(scan: AsyncIterable<ScanBatch>): AsyncGenerator<CandidateBatch> {
  for await (const { keys, frequency, lastStep } of scan) yield { keys, occurrences: frequency, lastStep };
}
