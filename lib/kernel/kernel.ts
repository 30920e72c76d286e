import { EmbershardError } from "../base/errors.js";
import { kernelWasm } from "./generated/kernel-wasm.js";

/** What the WebAssembly module offers; pointers and counts are unsigned 32-bit. See lib/kernel/assembly for each. */
export interface KernelExports {
  staticEnd(): number;
  xxh64(ptr: number, length: number, seed: bigint): bigint;
  hashStrings(bytes: number, ends: number, n: number, seed: bigint, into: number): void;
  slotsOf(keys: number, n: number, placement: bigint, into: number): void;
  checkSlots(keys: number, n: number, placement: bigint, owned: number, first: number, last: number): number;
  begin(pages: number): void;
  pagesLeft(): number;
  pagesUsed(): number;
  pagesEnd(): number;
  commitPages(pages: number): number;
  takeRun(pages: number, kind: number): number;
  givePage(page: number): void;
  claimPage(page: number, kind: number, table: number): number;
  sweepPages(): void;
  pagesFor(table: number, rows: number): number;
  indexPagesFor(table: number, rows: number): number;
  openTable(table: number, rows: number): void;
  sizeIndex(table: number, depth: number): void;
  pullRows(
    table: number,
    keys: number,
    n: number,
    into: number,
    states: number,
    found: number,
    useFallback: number,
    fallback: number,
  ): void;
  pullNarrow(
    table: number,
    keys: number,
    n: number,
    into: number,
    scales: number,
    states: number,
    found: number,
    useFallback: number,
    fallback: number,
    type: number,
  ): void;
  pullScales(table: number, keys: number, n: number, into: number, initial: number): void;
  pullCounters(table: number, keys: number, n: number, into: number): void;
  containsRows(table: number, keys: number, n: number, found: number): number;
  pushRows(
    table: number,
    keys: number,
    counts: number,
    gradients: number,
    n: number,
    positions: number,
    counters: number,
    learningRate: number,
    step: number,
    lsn: bigint,
  ): void;
  pushAdmitted(
    table: number,
    keys: number,
    counts: number,
    gradients: number,
    n: number,
    positions: number,
    counters: number,
    learningRate: number,
    step: number,
    lsn: bigint,
    counted: number,
  ): void;
  occurrencesOf(table: number, keys: number, n: number, into: number): void;
  createRows(table: number, keys: number, counts: number, n: number, positions: number, lsn: bigint): void;
  assignRows(
    table: number,
    keys: number,
    counts: number,
    n: number,
    positions: number,
    weights: number,
    states: number,
    lsn: bigint,
  ): void;
  writeHistory(positions: number, n: number, counts: number, steps: number): void;
  writeCounters(table: number, positions: number, n: number, given: number): void;
  deleteRows(table: number, keys: number, n: number, positions: number, removed: number, lsn: bigint): number;
  extractRows(table: number, keys: number, n: number, positions: number, into: number, lsn: bigint): number;
  keysOfRecords(records: number, n: number, bytes: number, keys: number): void;
  adoptRows(table: number, records: number, n: number, positions: number, lsn: bigint): void;
  keysOfPage(page: number, slots: number, placement: bigint, keys: number): number;
  scanPage(
    page: number,
    from: number,
    limit: number,
    keys: number,
    weights: number,
    states: number,
    frequencies: number,
    steps: number,
  ): bigint;
  readRecords(
    table: number,
    records: number,
    n: number,
    stride: number,
    weights: number,
    states: number,
    frequencies: number,
    steps: number,
  ): void;
  sealRecords(records: number, n: number, bytes: number, seed: bigint, lsn: bigint, values: number): void;
  sealAgain(values: number, n: number, bytes: number, lsn: bigint): void;
  openValues(values: number, n: number, bytes: number, records: number): void;
  checkValues(values: number, n: number, bytes: number, seed: bigint, keys: number): number;
  digestRecords(records: number, n: number, bytes: number, seed: bigint): bigint;
  copyVictims(positions: number, n: number, bytes: number, changed: number, clean: number): number;
  demoteRows(
    table: number,
    copies: number,
    n: number,
    positions: number,
    removed: number,
    lsn: bigint,
  ): number;
  copyRecords(table: number, keys: number, n: number, into: number, found: number): void;
  uniqueKeys(keys: number, n: number, work: number, unique: number, ranks: number): number;
  storeKeys(keys: number, n: number, prefix: number, table: number, into: number): void;
  nextPageOf(table: number, page: number, end: number): number;
  readExtras(table: number, positions: number, n: number, counters: number, times: number): void;
  scanExtras(page: number, from: number, n: number, counters: number, times: number): void;
  sampleScores(
    table: number,
    by: number,
    first: number,
    end: number,
    every: number,
    perPage: number,
    into: number,
  ): number;
  scoreRecords(table: number, by: number, records: number, n: number, stride: number, into: number): void;
  findVictims(
    table: number,
    by: number,
    threshold: number,
    cursor: number,
    end: number,
    places: number,
    limit: number,
    keys: number,
    positions: number,
  ): number;
  replayPush(
    table: number,
    positions: number,
    keys: number,
    counts: number,
    gradients: number,
    n: number,
    counters: number,
    learningRate: number,
    step: number,
    lsn: bigint,
  ): number;
  replayAssign(
    table: number,
    positions: number,
    keys: number,
    counts: number,
    weights: number,
    states: number,
    n: number,
    lsn: bigint,
  ): number;
  replayHistory(positions: number, counts: number, steps: number, n: number, lsn: bigint): void;
  replayCounters(table: number, positions: number, n: number, given: number, lsn: bigint): void;
  replayCount(
    table: number,
    positions: number,
    keys: number,
    counts: number,
    n: number,
    step: number,
    lsn: bigint,
  ): number;
  replaySketch(
    table: number,
    positions: number,
    keys: number,
    counts: number,
    n: number,
    lsn: bigint,
  ): number;
  replayDelete(table: number, positions: number, keys: number, n: number, lsn: bigint): number;
  replayAdopt(table: number, positions: number, records: number, n: number, lsn: bigint): number;
  stampRows(positions: number, n: number, lsn: bigint): void;
  collectPage(page: number, words: number): number;
  indexWords(table: number, words: number, n: number, sorted: number): number;
  linkSpace(): void;
  sumEqualKeys(
    keys: number,
    counts: number,
    rows: number,
    n: number,
    dim: number,
    slots: number,
    slotCount: number,
    counted: number,
  ): number;
  numberKeys(
    keys: number,
    n: number,
    unique: number,
    counts: number,
    numbers: number,
    slots: number,
    slotCount: number,
  ): number;
  sumRowsInto(
    rows: number,
    numbers: number,
    n: number,
    dim: number,
    places: number,
    seen: number,
    into: number,
  ): number;
  limitTo(most: number, values: number, n: number): void;
  largestOf(values: number, n: number): number;
  firstNonFinite(values: number, n: number): number;
  firstNonFiniteSum(rows: number, counts: number, n: number, dim: number): number;
  dropNonFinite(
    rows: number,
    keys: number,
    counts: number,
    n: number,
    dim: number,
    counters: number,
    counterCount: number,
  ): number;
  orderByArena(slots: number, arenaOf: number, n: number, arenas: number, order: number, ends: number): void;
  groupKeys(
    keys: number,
    n: number,
    placement: bigint,
    groupOf: number,
    groups: number,
    next: number,
    groupCount: number,
  ): void;
  placeKeys(keys: number, groups: number, n: number, next: number, sorted: number, places: number): void;
  gatherRows(from: number, order: number, n: number, bytes: number, into: number): void;
  scatterRows(from: number, order: number, n: number, bytes: number, into: number): void;
  narrowRows(from: number, n: number, dim: number, into: number, scales: number, type: number): void;
  widenRows(from: number, scales: number, n: number, dim: number, into: number, type: number): void;
  applyRows(t: number, rows: number, gradients: number, n: number, learningRate: number, step: number): void;
  initialRow(t: number, key: bigint, into: number): void;
  initialState(t: number, into: number): void;
}

export interface KernelInstance {
  readonly exports: KernelExports;
  readonly memory: WebAssembly.Memory;
}

const wasmPageBytes = 65_536;
/** Pages of 64 KiB that the module asks for at least. */
const initialPages = 320;

let compiled: WebAssembly.Module | undefined;

/**
 * A new instance of the kernel over `memory`, zeroed and nobody else's, or over new memory, which may grow to `maximumBytes`.
 * The module is compiled once.
 *
 * @throws OUT_OF_MEMORY when the system refuses the address space.
 */
export function instantiateKernel(
  maximumBytes: number,
  memory: WebAssembly.Memory = newMemory(maximumBytes),
): KernelInstance {
  compiled ??= new WebAssembly.Module(Buffer.from(kernelWasm, "base64"));
  const instance = new WebAssembly.Instance(compiled, { env: { memory } });
  return { exports: instance.exports as unknown as KernelExports, memory };
}

function newMemory(maximumBytes: number): WebAssembly.Memory {
  const maximum = Math.max(initialPages, Math.ceil(maximumBytes / wasmPageBytes));
  try {
    return new WebAssembly.Memory({ initial: initialPages, maximum });
  } catch (cause) {
    throw new EmbershardError(
      "OUT_OF_MEMORY",
      `no address space for ${maximumBytes} bytes of rows: raise the limit (ulimit -v) or lower arenaBytes`,
      {
        cause,
      },
    );
  }
}
