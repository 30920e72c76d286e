// What the kernel exports. lib/kernel/arena.ts is its only caller.
export { xxh64, hashStrings, slotsOf } from "./hash";
export { setPageLimit, pagesLeft, pagesUsed, pagesEnd, commitPages, takeRun, givePage, claimPage, sweepPages } from "./pages";
export {
  pagesFor, pullRows, containsRows, pushRows, createRows, writeRows, deleteRows, extractRows, keysOfRecords, adoptRows, keysOfPage, scanPage, nextPageOf, openTable,
} from "./rows";
export { replayPush, replayAssign, replayDelete, replayAdopt, stampRows, collectPage, indexWords } from "./replay";
export { distinctKeys, sumRows, firstNonFinite, dropNonFinite, orderByArena, gatherRows, scatterRows } from "./batch";
export { applyRows, initialState } from "./optimize";
export { initialRow } from "./initialize";
