// A message, as it is read and as it is given to be written.
import type { Body, BodyInput } from "./generated/frame-types.js";

/** A frame that was read. Its arrays are views over the message, borrowed with it, unless they lay out of alignment. */
export interface Frame<B extends Body = Body> {
  /** Number of the request on this connection, u32. 0: a notice, which nobody answers. */
  readonly id: number;
  /** Epoch of the slot map that a request was planned with; of answers, 0. */
  readonly epoch: number;
  /** Milliseconds from receipt within which a request is of use; 0: any time. */
  readonly deadlineMs: number;
  /** Number of the snapshot that a request belongs to; 0: none. */
  readonly cut: number;
  /** Number of an open version that a request reads; 0: the live state. */
  readonly version: number;
  /** Another answer to the same request follows. */
  readonly more: boolean;
  readonly body: B;
}

/** A frame to write; what is left out is 0 or false. */
export interface FrameInput {
  readonly id: number;
  readonly epoch?: number | undefined;
  readonly deadlineMs?: number | undefined;
  readonly cut?: number | undefined;
  readonly version?: number | undefined;
  readonly more?: boolean | undefined;
  readonly body: BodyInput;
}

/** What two sides have agreed on, and what a frame may make a reader do. */
export interface Terms {
  /** Features that may be used: bit i is the `Feature` of number i. */
  readonly features: number;
  /** Tables and strings in one frame, at most: each becomes an object. */
  readonly items: number;
}

/** Before a handshake. */
export const FIRST_TERMS: Terms = { features: 0, items: 64 };
/** Of the side that is asked: frames name 1,024 tables at most. */
export const requestItems = 4096;
/** Of the side that asks: slot maps have an owner, with three strings, for each shard. */
export const replyItems = 1 << 18;
