import type { TableOptions } from "../../lib/index.js";

/** In what a table of the store differs from float32 with Adagrad. */
export type Stored = Pick<TableOptions, "storage" | "stateStorage" | "rounding" | "admission" | "memory"> & {
  readonly optimizer?: "rowWiseAdagrad";
};

/** What a process that pulls and pushes rows is started with. */
export interface RowsSettings {
  /** A directory that does not exist yet; the store is made there. Peers without files ignore it. */
  readonly directory: string;
  /** Rows that exist before the first round. */
  readonly rows: number;
  readonly dim: number;
  readonly batch: number;
  readonly hugePages: "auto" | "off";
  /** "memory": an unlogged table, and no checkpoints; "os": logged, with the store's own checkpoints. */
  readonly level: "memory" | "os";
  /** Rows beyond those of the beginning are evicted, the least recently written first. */
  readonly evicting?: boolean;
  readonly seed: number;
  /** Known to the store only. */
  readonly stored?: Stored;
}

/** Batches between two looks at the clock; their keys are made before. */
export const CHUNK_BATCHES = 16;
export const LEARNING_RATE = 0.05;

/** Small gradients that repeat for every batch: their values do not matter to speed. */
export function gradientsOf(floats: number): Float32Array {
  return Float32Array.from({ length: floats }, (_, i) => ((i % 97) - 48) * 2e-4);
}
