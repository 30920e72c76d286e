/**
 * The closed set of errors that Embershard reports. The table is shared by the library, the documentation and
 * other languages' clients: `wire` numbers are never reused.
 *
 * Wrong arguments of the wrong *type* are also EmbershardErrors (code `INVALID_ARGUMENT`), so that one `catch`
 * sees one class.
 */
export const ERRORS = {
  INVALID_ARGUMENT: { wire: 1, retry: false, meaning: "an argument has a wrong type, length or value" },
  INVALID_NAME: {
    wire: 2,
    retry: false,
    meaning: "a table or feature name is empty, too long or has characters that are not allowed",
  },
  INVALID_OPTIONS: { wire: 3, retry: false, meaning: "an option is unknown, missing or outside its range" },
  NON_FINITE: {
    wire: 4,
    retry: false,
    meaning: "a gradient or value is NaN or infinite; the message names the key",
  },
  TOO_LARGE: { wire: 5, retry: false, meaning: "a request exceeds a limit; split it" },
  TABLE_NOT_FOUND: { wire: 6, retry: false, meaning: "no table of that name exists" },
  TABLE_MISMATCH: {
    wire: 7,
    retry: false,
    meaning: "the table exists with other settings, which cannot change",
  },
  TABLE_COLLISION: {
    wire: 8,
    retry: false,
    meaning: "another table's name has the same 64-bit id; choose another name",
  },
  UNALIGNED_RANGE: {
    wire: 9,
    retry: false,
    meaning: "a tensor's push does not begin and end at a block's edge",
  },
  NOT_LOGGED: { wire: 10, retry: false, meaning: "an unlogged table cannot promise more than level memory" },
  CLOSED: { wire: 11, retry: false, meaning: "the store is closed" },
  READ_ONLY: {
    wire: 12,
    retry: true,
    meaning: "an I/O error made the store read-only; it resumes by itself when the cause is gone",
  },
  LOCKED: {
    wire: 13,
    retry: true,
    meaning: "another process has the directory open; the message names its pid",
  },
  NOT_A_STORE: {
    wire: 14,
    retry: false,
    meaning: "the path is not a directory that Embershard made, or cannot be used as one",
  },
  NEWER_FORMAT: {
    wire: 15,
    retry: false,
    meaning: "the directory was written by a newer version; upgrade Embershard",
  },
  SHARD_COUNT: { wire: 16, retry: false, meaning: "the directory has another number of shards" },
  CORRUPT: {
    wire: 17,
    retry: false,
    meaning: "stored bytes do not add up; the message names what is damaged",
  },
  IO: { wire: 18, retry: true, meaning: "the operating system reported an error; see cause" },
  OUT_OF_MEMORY: { wire: 19, retry: false, meaning: "no more memory could be had for rows" },
  ABORTED: { wire: 20, retry: true, meaning: "the caller's AbortSignal ended the operation" },
  UNSUPPORTED: { wire: 21, retry: false, meaning: "this version does not support what was asked" },
  INTERNAL: { wire: 22, retry: false, meaning: "an invariant is broken: a bug; the shard stops" },
  VERSION_NOT_FOUND: { wire: 23, retry: false, meaning: "no version of that name exists" },
  VERSION_EXISTS: { wire: 24, retry: false, meaning: "there is a version of that name already" },
  VERSION_IS_READ_ONLY: {
    wire: 25,
    retry: false,
    meaning: "the store is open as one of its versions, which never change",
  },
  STALE_EPOCH: {
    wire: 26,
    retry: true,
    meaning: "the request was planned with another slot map; the answer brings the one in force",
  },
  FENCED: {
    wire: 27,
    retry: false,
    meaning: "a later session of the same worker has begun; this one may push no more",
  },
  SESSION_EXPIRED: {
    wire: 28,
    retry: false,
    meaning:
      "a shard no longer knows what this session pushed, so a retry cannot be told from a new push; begin a session",
  },
  UNAVAILABLE: { wire: 29, retry: true, meaning: "a node cannot be reached, or is starting or stopping" },
  OVERLOADED: {
    wire: 30,
    retry: true,
    meaning: "a node is over a limit of memory or of requests; wait and retry",
  },
  DEADLINE: { wire: 31, retry: true, meaning: "the time given for a request is over" },
  PROTOCOL: {
    wire: 32,
    retry: false,
    meaning: "the other side speaks another version of the protocol, or asked for a feature not agreed on",
  },
  BAD_FRAME: { wire: 33, retry: false, meaning: "a message is no valid frame; the connection is closed" },
  PARTIAL: {
    wire: 34,
    retry: true,
    meaning: "some owners did their part of a request and others did not; the error lists them",
  },
} as const;

export type ErrorCode = keyof typeof ERRORS;

const codes = new Map(Object.entries(ERRORS).map(([code, { wire }]) => [wire as number, code as ErrorCode]));

/** The code of a number that came over the wire; undefined for one that this version does not know. */
export function codeOfNumber(wire: number): ErrorCode | undefined {
  return codes.get(wire);
}

/** Every error that Embershard throws. `code` is stable; `message` says what was found, what was expected and what to do. */
export class EmbershardError extends Error {
  readonly code: ErrorCode;
  /** Whether the same request may succeed later. */
  readonly retry: boolean;

  constructor(code: ErrorCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = "EmbershardError";
    this.code = code;
    this.retry = ERRORS[code].retry;
  }
}
