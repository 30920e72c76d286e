// What a node says of itself when it is greeted.
import { LIMITS } from "../base/limits.js";
import type { LimitsInput } from "../wire/generated/frame-types.js";
import { featureBits } from "../wire/handshake.js";
import type { NodeSettings } from "./setting-table.js";

/** What this node can do beyond the protocol's core. */
export const offeredFeatures = featureBits("f16", "bf16", "int8", "counters", "versions", "watch");

/** Requests of a connection without an answer, at most. */
export const inFlightRequests = 4096;

/** What a node allows on a connection. */
export function limitsOf({ frameBytes, connectionBytes }: NodeSettings): LimitsInput {
  return {
    frameBytes,
    inFlightBytes: Math.min(connectionBytes, 0xffff_ffff),
    inFlight: inFlightRequests,
    keys: LIMITS.keysPerWrite,
    markBytes: LIMITS.markBytes,
    parts: LIMITS.tables,
  };
}
