// What callers may ask to be forgotten.

/** Which rows are to be evicted now: one of these. */
export type EvictionRequest =
  | { readonly rows: number }
  | { readonly olderThanSteps: number }
  | { readonly olderThanMs: number }
  | { readonly belowNorm: number }
  | { readonly belowFrequency: number }
  | { readonly belowScore: number };

/** Which candidates to forget; all that is given must hold. */
export interface ForgetOptions {
  /** Those whose last push had an earlier step. */
  readonly unseenSince?: number | undefined;
  /** Those that were seen so often at most. */
  readonly atMost?: number | undefined;
}
