// What the kernel exports. lib/kernel/arena.ts is its only caller.

export { occurrencesOf, pushAdmitted } from "./admission";
export {
  dropNonFinite,
  firstNonFinite,
  firstNonFiniteSum,
  gatherRows,
  largestOf,
  limitTo,
  numberKeys,
  orderByArena,
  scatterRows,
  sumEqualKeys,
  sumRowsInto,
} from "./batch";
export {
  checkValues,
  copyRecords,
  copyVictims,
  demoteRows,
  digestRecords,
  openValues,
  sealAgain,
  sealRecords,
  storeKeys,
  uniqueKeys,
} from "./cold";
export { readExtras, scanExtras, writeCounters } from "./extras";
export { checkSlots, hashStrings, slotsOf, xxh64 } from "./hash";
export { initialRow } from "./initialize";
export { pullNarrow, pullScales } from "./narrow-reading";
export { applyRows, initialState } from "./optimize";
export {
  claimPage,
  commitPages,
  givePage,
  pagesEnd,
  pagesLeft,
  pagesUsed,
  sweepPages,
  takeRun,
} from "./pages";
export { begin, indexPagesFor, openTable, pagesFor, sizeIndex } from "./places";
export {
  containsRows,
  keysOfPage,
  keysOfRecords,
  nextPageOf,
  pullCounters,
  pullRows,
  readRecords,
  scanPage,
} from "./reading";
export {
  collectPage,
  indexWords,
  linkSpace,
  replayAdopt,
  replayAssign,
  replayCounters,
  replayDelete,
  replayHistory,
  replayPush,
  stampRows,
} from "./replay";
export { replayCount, replaySketch } from "./replay-candidates";
export { groupKeys, placeKeys } from "./routes";
export {
  adoptRows,
  assignRows,
  createRows,
  deleteRows,
  extractRows,
  pushRows,
  writeHistory,
} from "./rows";
export { narrowRows, widenRows } from "./storage/narrow";
export { findVictims, sampleScores, scoreRecords } from "./victims";

/** Where the module's static data ends: before PAGE_LSNS, which a spec holds it to. */
export function staticEnd(): usize {
  return __heap_base;
}
