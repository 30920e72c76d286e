// How many pages rows take, before there are any.
import { FIRST_PAGE, PAGE_BYTES, SPLIT_ABOVE } from "../kernel/layout.js";
import type { ArenaTable } from "./arena-table.js";

export const pageBytes = PAGE_BYTES;

/** Pages that an arena has before its first table: the kernel's own and scratch, and one to split index segments with. */
export const arenaFixedPages = FIRST_PAGE + 1;

export function rowPages(table: Pick<ArenaTable, "rowsPerPage">, rows: number): number {
  return Math.ceil(rows / table.rowsPerPage);
}

/**
 * Segments of the index over so many rows of one table in one arena. A segment splits when it holds more than SPLIT_ABOVE
 * entries; hashes spread rows evenly, so that all of a size split at about the same number of rows: with a mean of m rows
 * a segment, the share that has split is that of a Poisson distribution beyond SPLIT_ABOVE, here by the logistic function.
 */
export function indexSegments(rows: number): number {
  let segments = 1;
  while (rows / segments > SPLIT_ABOVE + 4 * Math.sqrt(SPLIT_ABOVE)) segments *= 2;
  const mean = rows / segments;
  const split = 1 / (1 + Math.exp((-1.702 * (mean - SPLIT_ABOVE)) / Math.sqrt(SPLIT_ABOVE)));
  return Math.round(segments * (1 + split));
}
