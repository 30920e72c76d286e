import type { ErrorCode } from "../base/errors.js";
import type { PageStoreOptions } from "./level-page-store.js";
import type { KeyRange, PageEntry } from "./page-store.js";

/** What the thread is asked for. Packed memory is transferred, and comes back with the reply of a write. */
export type PageCall =
  | { readonly call: "open"; readonly directory: string; readonly options: PageStoreOptions }
  | { readonly call: "reopen" | "close" }
  | { readonly call: "get"; readonly key: Uint8Array }
  | { readonly call: "getMany"; readonly memory: ArrayBuffer; readonly keyBytes: number }
  | { readonly call: "write"; readonly memory: ArrayBuffer; readonly usedBytes: number }
  | { readonly call: "compact"; readonly gte: Uint8Array; readonly lt: Uint8Array }
  | { readonly call: "iterate"; readonly gte: Uint8Array; readonly lt: Uint8Array }
  | { readonly call: "place"; readonly ranges: readonly KeyRange[] }
  | { readonly call: "leave"; readonly placement: number }
  | { readonly call: "next" | "end"; readonly iteration: number };

/**
 * `next` replies with entries, whose values are transferred one by one when they are large and packed when they are
 * small, or with neither at the end; `iterate` with the number of the iteration; `place` with the number of the placement, and
 * entries packed whose values are fd, offset, length and what is unseen (or NaN) as f64[4], or with nothing.
 */
export interface PageAnswer {
  readonly entries?: readonly PageEntry[];
  readonly memory?: ArrayBuffer;
  readonly usedBytes?: number;
  readonly value?: Uint8Array | undefined;
  /** Of `getMany`: where each value ends in `memory`. */
  readonly ends?: Uint32Array;
  readonly iteration?: number;
  readonly placement?: number;
}

export interface PageRequest {
  readonly id: number;
  readonly body: PageCall;
}

export type PageReply =
  | { readonly id: number; readonly answer: PageAnswer }
  | { readonly id: number; readonly code: ErrorCode; readonly message: string; readonly cause: unknown };
