import { describe, OptionReader } from "../api/option-reader.js";
import { EmbershardError } from "../base/errors.js";

/** How a store on nodes is opened. */
export interface ConnectOptions {
  /**
   * Name of this worker, at most 200 bytes of UTF-8, no other's: pushes that the client sends again by itself are
   * applied once, and one that takes its place fences what it has on its way. A name of its own for each `connect` unless given.
   */
  readonly worker?: string;
  /** The worker's session, greater than any before: an earlier one of that name is fenced. Rises with the time unless given. */
  readonly session?: bigint;
  /** Milliseconds that a call may take, with all that is tried again. 30,000 unless given; 0: any time. */
  readonly deadlineMs?: number;
  /** Milliseconds in which a connection has to be made, and the node to greet. 5,000 unless given. */
  readonly connectMs?: number;
  /** Tries of one part of a call, at most; 0: as many as the deadline allows. 0 unless given. */
  readonly tries?: number;
  /**
   * How WebSocket payloads are masked: "zero" sends them as they are, which only scripts in browsers behind proxies could
   * abuse, "random" as RFC 6455 asks. "zero" unless given.
   */
  readonly mask?: "zero" | "random";
  /**
   * "auto": while answers are awaited, and for 0.1 ms after the last news, the system is asked for more without sleeping, where processors
   * are to spare, the system says so (Linux) and no quota limits their time (cgroups); it takes up to a processor then. "never": always sleeps. "auto" unless given.
   */
  readonly polling?: "auto" | "never";
  /**
   * What weights come as when tables are pulled. "f16" and "bf16" take half of the bytes, "int8" a quarter, and a scale for each row: each
   * row comes as a table of that `storage` would store it, rounded to the nearest. State and counters stay as they are. "f32" unless given.
   */
  readonly transfer?: TransferType;
  /** As `transfer`, when tensors are pulled; a row is a block of one. "f32" unless given. */
  readonly tensorTransfer?: TransferType;
  /**
   * What gradients go as when tables are pushed to. "f16" and "bf16" take half of the bytes: those of equal keys are summed, and the sums
   * rounded as weights are in `transfer`. Gradients of tensors stay as they are. "f32" unless given.
   */
  readonly gradients?: GradientType;
}

/** What weights can come as. */
export type TransferType = "f32" | "f16" | "bf16" | "int8";
/** What gradients can go as. */
export type GradientType = "f32" | "f16" | "bf16";

/** What weights come as in pulls, and gradients go as. */
export interface Transfer {
  readonly tables: TransferType;
  readonly tensors: TransferType;
  /** Those of tables. */
  readonly gradients: GradientType;
}

export interface ClientSettings {
  readonly worker: string | undefined;
  readonly session: bigint | undefined;
  readonly deadlineMs: number;
  readonly connectMs: number;
  readonly tries: number;
  readonly mask: "zero" | "random";
  readonly polling: "auto" | "never";
  readonly transfer: Transfer;
}

const transferTypes: readonly TransferType[] = ["f32", "f16", "bf16", "int8"];
const gradientTypes: readonly GradientType[] = ["f32", "f16", "bf16"];
/** Bytes of a worker's name, at most. */
const workerBytes = 200;

/** @throws INVALID_OPTIONS */
export function readClientOptions(options: unknown): ClientSettings {
  const read = new OptionReader("connect", options);
  const settings = {
    worker: readWorker(read.any("worker")),
    session: readSession(read.any("session")),
    deadlineMs: read.integer("deadlineMs", 0, 2 ** 31 - 1, 30_000),
    connectMs: read.integer("connectMs", 1, 2 ** 31 - 1, 5000),
    tries: read.integer("tries", 0, 2 ** 31 - 1, 0),
    mask: read.choice("mask", ["zero", "random"], "zero"),
    polling: read.choice("polling", ["auto", "never"], "auto"),
    transfer: {
      tables: read.choice("transfer", transferTypes, "f32"),
      tensors: read.choice("tensorTransfer", transferTypes, "f32"),
      gradients: read.choice("gradients", gradientTypes, "f32"),
    },
  };
  read.end();
  if (settings.session !== undefined && settings.worker === undefined)
    throw refusal("found session without worker, expected a worker's name with it");
  return settings;
}

function readWorker(worker: unknown): string | undefined {
  if (worker === undefined) return undefined;
  if (typeof worker === "string" && worker !== "" && Buffer.byteLength(worker) <= workerBytes) return worker;
  throw refusal(`found worker ${describe(worker)}, expected a name of 1 to ${workerBytes} bytes`);
}

function readSession(session: unknown): bigint | undefined {
  if (session === undefined) return undefined;
  if (typeof session === "bigint" && session >= 1n && session < 2n ** 64n) return session;
  throw refusal(`found session ${describe(session)}, expected a bigint from 1 to 2^64 - 1`);
}

function refusal(what: string): EmbershardError {
  return new EmbershardError("INVALID_OPTIONS", `connect: ${what}`);
}
