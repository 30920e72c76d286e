// Checks of the options of exports and imports.
import { EmbershardError } from "../base/errors.js";
import type { ExportOptions } from "./transfer-types.js";

type Check = readonly [holds: (value: unknown) => boolean, says: string];

const flag: Check = [(value) => typeof value === "boolean", "true or false"];
const notNegative: Check = [
  (value) => typeof value === "number" && Number.isFinite(value) && value >= 0,
  "a finite number >= 0",
];
const object: Check = [(value) => typeof value === "object" && value !== null, "an object"];
const text: Check = [(value) => typeof value === "string" && value !== "", "a text"];
const isFunction: Check = [(value) => typeof value === "function", "a function"];
const signal: Check = [(value) => value instanceof AbortSignal, "an AbortSignal"];
const anything: Check = [() => true, "anything"];

const SHARED = { format: anything, signal, onProgress: isFunction, s3: object, scratch: text };

const KNOWN = {
  exportTable: {
    ...SHARED,
    state: flag,
    minFrequency: notNegative,
    minNorm: notNegative,
    keys: [(value: unknown) => value instanceof BigUint64Array, "a BigUint64Array"] as Check,
    rows: [
      (value: unknown) => typeof value === "object" && value !== null && Symbol.asyncIterator in value,
      "an async iterable of batches, as table.scan() gives",
    ] as Check,
    since: text,
    sync: flag,
  },
  importTable: {
    ...SHARED,
    existing: [
      (value: unknown) => value === "merge" || value === "replace" || value === "fail",
      '"merge", "replace" or "fail"',
    ] as Check,
    state: flag,
    table: object,
    ack: [
      (value: unknown) => value === "memory" || value === "os" || value === "fsync",
      '"memory", "os" or "fsync"',
    ] as Check,
  },
};

/** Checks options field by field. @throws INVALID_OPTIONS */
export function checkOptions(what: keyof typeof KNOWN, options: unknown): void {
  const known: Readonly<Record<string, Check>> = KNOWN[what];
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new EmbershardError("INVALID_OPTIONS", `${what}: expected an object of options`);
  for (const [name, value] of Object.entries(options)) {
    const check = Object.hasOwn(known, name) ? known[name] : undefined;
    if (check === undefined)
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `${what}: found unknown option ${JSON.stringify(name)}, expected ${Object.keys(known).join(", ")}`,
      );
    if (value !== undefined && !check[0](value))
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `${what}: found ${name} ${typeof value === "object" ? "an object" : String(value)}, expected ${check[1]}`,
      );
  }
}

/** @throws INVALID_OPTIONS when options of an export exclude each other. */
export function checkSince({ since, rows, keys }: ExportOptions): void {
  if (since === undefined || (rows ?? keys) === undefined) return;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `exportTable: found since together with ${rows ? "rows" : "keys"}, expected one of them`,
  );
}

/** @throws INVALID_ARGUMENT */
export function checkPath(what: string, path: unknown): asserts path is string {
  if (typeof path === "string" && path !== "" && !path.includes("\0")) return;
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    `${what}: found ${String(path)}, expected a path or an s3:// address`,
  );
}

/** @throws ABORTED when the caller has had enough. */
export function demandGoing(what: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new EmbershardError("ABORTED", `${what} was aborted`, { cause: signal.reason });
}
