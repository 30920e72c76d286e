import { EmbershardError } from "../../lib/index.js";

/**
 * Where a run is. It travels with every push as its mark, so the position that a recovered store gives back is the one
 * that belongs to the recovered rows.
 */
export interface Position {
  /** What the run trains on, and how. A run is only continued by the same. */
  readonly run: string;
  /** The epoch that the next batch belongs to, from 0. */
  readonly epoch: number;
  /** Batches of that epoch that are applied. */
  readonly batch: number;
  /** The sum of squared errors of these batches, each taken before its step. */
  readonly squaredError: number;
  /** RMSE after each finished epoch: of training (as seen while training) and of the held-out part. */
  readonly curve: readonly (readonly [training: number, heldOut: number])[];
}

/** A mark holds at most 4 KiB: that many epochs fit, with room to spare. */
export const MOST_EPOCHS = 150;

export function encodePosition(position: Position): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(position));
}

/** Reads back what `encodePosition` gave. INVALID_OPTIONS for a mark of another program. */
export function decodePosition(mark: Uint8Array): Position {
  const position = parsed(new TextDecoder().decode(mark));
  if (!isPosition(position))
    throw new EmbershardError(
      "INVALID_OPTIONS",
      "the store's mark is not the MovieLens example's: choose another --dir",
    );
  return position;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Not JSON, so not ours: the caller says so.
    return undefined;
  }
}

function isPosition(value: unknown): value is Position {
  if (typeof value !== "object" || value === null) return false;
  const { run, epoch, batch, squaredError, curve } = value as Record<keyof Position, unknown>;
  const numbers = [epoch, batch, squaredError].every((number) => typeof number === "number");
  return typeof run === "string" && numbers && Array.isArray(curve);
}
