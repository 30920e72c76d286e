// What a client does by itself, for those who subscribe: `diagnostics_channel.subscribe("embershard:client:retry", ...)`.
import { channel } from "node:diagnostics_channel";
import type { EmbershardError } from "../base/errors.js";

const connections = channel("embershard:client:connection");
const retries = channel("embershard:client:retry");
const maps = channel("embershard:client:map");

/** A message of `embershard:client:connection`. */
export interface ConnectionEvent {
  readonly peer: string;
  readonly open: boolean;
  /** Why it ended. */
  readonly error?: EmbershardError | undefined;
}

/** A message of `embershard:client:retry`. */
export interface RetryEvent {
  readonly peer: string;
  /** Keys that are sent again. */
  readonly keys: number;
  /** 1 for the first retry. */
  readonly attempt: number;
  readonly delayMs: number;
  readonly error: EmbershardError;
}

/** A message of `embershard:client:map`. */
export interface MapEvent {
  readonly epoch: number;
  readonly owners: number;
}

export function noteConnection(peer: string, open: boolean, error?: EmbershardError): void {
  if (connections.hasSubscribers) connections.publish({ peer, open, error } satisfies ConnectionEvent);
}

export function noteRetry(event: RetryEvent): void {
  if (retries.hasSubscribers) retries.publish(event);
}

export function noteMap(epoch: number, owners: number): void {
  if (maps.hasSubscribers) maps.publish({ epoch, owners } satisfies MapEvent);
}
