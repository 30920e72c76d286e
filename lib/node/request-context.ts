import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { nonFiniteAsText } from "../base/non-finite.js";
import type { Shard } from "../shard/shard.js";
import type { Frame } from "../wire/frame.js";
import type { FrameWriter } from "../wire/frame-writer.js";
import type { Body, DoneInput } from "../wire/generated/frame-types.js";
import type { OpenVersions } from "./open-versions.js";
import type { Ownership } from "./ownership.js";
import type { ServedConnection } from "./served-connection.js";
import type { ServedTables } from "./served-tables.js";
import type { ServiceCounts } from "./shard-figures.js";

/** What requests are answered with. */
export interface RequestContext {
  readonly shard: Shard;
  readonly tables: ServedTables;
  /** Versions that are read. */
  readonly openVersions: OpenVersions;
  readonly counts: ServiceCounts;
  readonly writer: FrameWriter;
  readonly clock: Clock;
  /** Of the map in force. @throws UNAVAILABLE while there is none */
  ownership(): Ownership;
  /** Demands that there is memory for `bytes` more. @throws OVERLOADED */
  demandMemory(bytes: number): void;
}

/** Answers one kind of request. Arrays of the frame are borrowed until it returns. */
export type Answer<B extends Body> = (
  context: RequestContext,
  frame: Frame<B>,
  connection: ServedConnection,
) => Promise<void> | undefined;

/** The lowest clock of the workers that a shard knows; 0 without any. */
export function lowestClock({ shard }: RequestContext): number {
  return Number(shard.workers.lowestClock() ?? 0n);
}

/** An answer to a write. */
export function done(
  context: RequestContext,
  { touched, lsn, repeated }: { touched: number; lsn: number; repeated: boolean },
): DoneInput {
  return { kind: "Done", clock: lowestClock(context), touched, lsn, repeated };
}

/** JSON, with integers beyond 2^53 as decimal strings, and numbers that are not finite as "NaN", "Infinity" and "-Infinity". */
export function jsonOf(value: unknown): string {
  return JSON.stringify(value, (name, one) =>
    typeof one === "bigint" ? one.toString() : nonFiniteAsText(name, one),
  );
}

export function unsupported(what: string): EmbershardError {
  return new EmbershardError("UNSUPPORTED", `this node does not support ${what}`);
}
