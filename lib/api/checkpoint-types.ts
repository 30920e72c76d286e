export interface CheckpointProgress {
  /** Pages done, of `total`; both begin anew with each phase. */
  readonly pages: number;
  readonly total: number;
  readonly bytes: number;
  /** "folding": pages of a version take what was pushed while they were copied. "copying" else. */
  readonly phase: "copying" | "folding";
}

export interface CheckpointOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: CheckpointProgress) => void) | undefined;
}

export interface CheckpointInfo {
  readonly generation: number;
  /** The LSN of the instant that it is a copy of. */
  readonly lsn: number;
  /** Pages written: those that had changed. */
  readonly pages: number;
  readonly bytes: number;
  /** Images of pages that it made obsolete. */
  readonly superseded: number;
  readonly milliseconds: number;
  /** Where one was asked for: pages written for it alone, and versions deleted since there may be no more. */
  readonly version?: { readonly name: string; readonly folded: number; readonly deleted: readonly string[] };
}
