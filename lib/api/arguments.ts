// Checks of what callers give. Everything behind the public methods trusts it.

import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import type { WriteRequest } from "./backend.js";
import type { CounterColumns } from "./counter-columns.js";
import type { EvictionRequest } from "./eviction-request.js";
import { checkLearningRate, needsStep } from "./optimizers.js";
import { describe } from "./option-reader.js";
import type { WriteOptions } from "./store-types.js";
import type { Ack, TableDefinition } from "./table-definition.js";

function invalid(message: string): EmbershardError {
  return new EmbershardError("INVALID_ARGUMENT", message);
}

/** Checks that options are an object of known fields only. */
export function checkFields(what: string, options: unknown, known: readonly string[]): void {
  if (options === undefined) return;
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw invalid(`${what}: found options ${describe(options)}, expected an object`);
  }
  const fields = Object.keys(options);
  for (let i = 0; i < fields.length; i++) {
    if (known.includes(fields[i])) continue;
    const unknown = fields.filter((field) => !known.includes(field));
    throw invalid(`${what}: found unknown option ${unknown.join(", ")}, expected ${known.join(", ")}`);
  }
}

interface ArrayKind<T> {
  new (length: number): T;
  readonly name: string;
}

/** Checks that an argument is a live typed array of one kind, and its length where `expected` says it. */
export function checkArray<T extends ArrayBufferView & { length: number }>(
  what: string,
  value: unknown,
  kind: ArrayKind<T>,
  expected?: { length: number; says: string },
): asserts value is T {
  if (!(value instanceof kind) || !ArrayBuffer.isView(value))
    throw invalid(`${what}: found ${nameOf(value)}, expected a ${kind.name}`);
  if (value.length === 0 && isOutside(value)) {
    throw invalid(
      `${what}: found a ${kind.name} that is detached or lies outside its buffer, expected a live one: its memory was transferred, or its buffer shrank`,
    );
  }
  if (expected && value.length !== expected.length) {
    throw invalid(`${what}: found length ${value.length}, expected ${expected.length} (${expected.says})`);
  }
}

function nameOf(value: unknown): string {
  if (typeof value === "object" && value !== null) return value.constructor?.name ?? "an object";
  return describe(value);
}

function isOutside(array: ArrayBufferView): boolean {
  try {
    Uint8Array.prototype.at.call(array, 0);
    return false;
  } catch {
    // TypeError: what every method of a detached array gives, or of one outside its buffer. Node 20 has no other way to ask.
    return true;
  }
}

export function checkKeys(what: string, keys: unknown): asserts keys is BigUint64Array {
  checkArray(what, keys, BigUint64Array);
}

/** Checks the keys of a write, whose number has a limit. @throws TOO_LARGE */
export function checkWriteKeys(what: string, keys: unknown): asserts keys is BigUint64Array {
  checkKeys(what, keys);
  if (keys.length > LIMITS.keysPerWrite) {
    throw new EmbershardError(
      "TOO_LARGE",
      `${what}: found ${keys.length} keys, the limit is ${LIMITS.keysPerWrite}: split the batch`,
    );
  }
}

export function checkWriteBytes(what: string, bytes: number): void {
  if (bytes > LIMITS.writeBytes) {
    throw new EmbershardError(
      "TOO_LARGE",
      `${what}: found ${bytes} bytes of values, the limit is ${LIMITS.writeBytes}: split the batch`,
    );
  }
}

const acks: readonly unknown[] = ["memory", "os", "fsync"];

/** The level a write asks for: its own, or the strongest default of its tables. @throws NOT_LOGGED */
export function resolveAck(what: string, ack: unknown, tables: readonly TableDefinition[]): Ack {
  if (ack === undefined) {
    return (tables.map((table) => table.ack).sort((a, b) => acks.indexOf(b) - acks.indexOf(a))[0] ??
      "memory") as Ack;
  }
  if (!acks.includes(ack))
    throw invalid(`${what}: found ack ${describe(ack)}, expected "memory", "os" or "fsync"`);
  const unlogged = tables.find((table) => !table.logged);
  if (unlogged && ack !== "memory") {
    throw new EmbershardError(
      "NOT_LOGGED",
      `${what}: table "${unlogged.name}" is not logged, so it cannot promise "${ack}": use "memory", or make the table with logged: true`,
    );
  }
  return ack as Ack;
}

export function checkMark(what: string, mark: unknown): asserts mark is Uint8Array | undefined {
  if (mark === undefined) return;
  checkArray(`${what}: mark`, mark, Uint8Array);
  if (mark.length > LIMITS.markBytes) {
    throw new EmbershardError(
      "TOO_LARGE",
      `${what}: found a mark of ${mark.length} bytes, the limit is ${LIMITS.markBytes}`,
    );
  }
}

export function checkNote(what: string, note: unknown): asserts note is string {
  if (typeof note !== "string") throw invalid(`${what}: found ${describe(note)}, expected text`);
  if (note.length > LIMITS.noteLength)
    throw invalid(`${what}: found ${note.length} characters, the limit is ${LIMITS.noteLength}`);
}

/** Checks what long work can be given: a signal that ends it, and a function that is told how far it is. */
export function checkWork(
  what: string,
  { signal, onProgress }: { readonly signal?: unknown; readonly onProgress?: unknown },
): void {
  if (signal !== undefined && !(signal instanceof AbortSignal))
    throw invalid(`${what}: found signal ${describe(signal)}, expected an AbortSignal`);
  if (onProgress !== undefined && typeof onProgress !== "function")
    throw invalid(`${what}: found onProgress ${describe(onProgress)}, expected a function`);
}

/** What the options of a write ask for. @throws INVALID_ARGUMENT, TOO_LARGE, NOT_LOGGED */
export function resolveWrite(
  what: string,
  { ack, mark, signal }: WriteOptions,
  tables: readonly TableDefinition[],
  step: number,
): WriteRequest {
  checkMark(what, mark);
  checkWork(what, { signal });
  return { ack: resolveAck(what, ack, tables), step, mark, ...(signal && { signal }) };
}

/** What is said where an array is not as long as it was when a call borrowed it; `during` is what went on meanwhile. */
export function arrayLost(during: string): EmbershardError {
  return invalid(`an array was detached, or its buffer resized, while ${during}`);
}

/** The step of a push; tables whose optimizer counts steps demand one. */
export function resolveStep(what: string, step: unknown, tables: readonly TableDefinition[]): number {
  const demanding = tables.find((table) => needsStep(table.optimizer));
  if (step === undefined) {
    if (!demanding) return 0;
    throw invalid(
      `${what}: table "${demanding.name}" counts steps by the request (step: "table"): give step, an integer >= 1`,
    );
  }
  const least = demanding ? 1 : 0;
  if (typeof step !== "number" || !Number.isInteger(step) || step < least || step > LIMITS.step) {
    throw invalid(
      `${what}: found step ${describe(step)}, expected an integer from ${least} to ${LIMITS.step}`,
    );
  }
  return step;
}

export function resolveLearningRate(learningRate: unknown, table: TableDefinition): number {
  return learningRate === undefined ? table.optimizer.learningRate : checkLearningRate(learningRate);
}

export function checkInteger(
  what: string,
  value: unknown,
  least: number,
  most: number,
): asserts value is number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return;
  throw invalid(`${what}: found ${describe(value)}, expected an integer from ${least} to ${most}`);
}

export function checkFlag(what: string, name: string, value: unknown): asserts value is boolean | undefined {
  if (value === undefined || typeof value === "boolean") return;
  throw invalid(`${what}: found ${name} ${describe(value)}, expected true or false`);
}

/** Checks columns of counters: an object of f32[n] by the table's names. */
export function checkCounters(
  what: string,
  columns: unknown,
  n: number,
  { name, counters }: TableDefinition,
): asserts columns is CounterColumns {
  if (!counters)
    throw invalid(`${what}: found counters, which table "${name}" does not have: give them when it is made`);
  checkFields(`${what}: counters`, columns, counters.names);
  for (const [column, values] of Object.entries(columns as object))
    checkArray(`${what}: counters.${column}`, values, Float32Array, { length: n, says: "one a key" });
}

/** Checks what is added to counters. @throws NON_FINITE */
export function checkCounts(what: string, columns: CounterColumns): void {
  for (const [name, values] of Object.entries(columns)) {
    const bad = values.findIndex((value) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
    if (bad >= 0)
      throw new EmbershardError(
        "NON_FINITE",
        `${what}: counters.${name} is ${values[bad]} at ${bad}, expected a finite number >= 0; nothing was changed`,
      );
  }
}

const evictions = ["rows", "olderThanSteps", "olderThanMs", "belowNorm", "belowFrequency", "belowScore"];

/** Checks what is to be evicted: one field, which the table has what it takes for. */
export function checkEviction(
  what: string,
  request: unknown,
  definition: TableDefinition,
): asserts request is EvictionRequest {
  checkFields(what, request ?? {}, evictions);
  const given = Object.entries((request ?? {}) as object).filter(([, value]) => value !== undefined);
  if (given.length !== 1)
    throw invalid(`${what}: found ${given.length} conditions, expected one of ${evictions.join(", ")}`);
  const [[field, value]] = given;
  if (field === "belowNorm" || field === "belowScore") {
    if (typeof value !== "number" || !Number.isFinite(value))
      throw invalid(`${what}: found ${field} ${describe(value)}, expected a finite number`);
  } else checkInteger(`${what}: ${field}`, value, 0, Number.MAX_SAFE_INTEGER);
  if (field === "olderThanMs" && !definition.eviction)
    throw invalid(`${what}: its rows have no times: a table that is made with eviction, even {}, has them`);
  if (field === "belowScore" && !definition.counters)
    throw invalid(
      `${what}: its rows have no counters, which give a score: they are given when a table is made`,
    );
}

/** What a write is refused with whose numbers are not finite. */
export function nonFinite(
  table: string,
  what: "gradient" | "value" | "state",
  key: bigint,
  value: number,
  element: number,
): EmbershardError {
  const advice = what === "gradient" ? ', or open the table with nonFinite: "skip"' : "";
  return new EmbershardError(
    "NON_FINITE",
    `table "${table}": the ${what} of key ${key} is ${value} at element ${element}; nothing was changed. Give finite numbers${advice}`,
  );
}
