// Looking for rows that no arena has: among the values that were read not long ago, then in the page store.
import type { Arena } from "../table/arena.js";
import { restored } from "./cold-restoring.js";
import type { ColdRows } from "./cold-rows.js";
import type { ColdStage } from "./cold-stage.js";
import { type ColdValues, readColdValues } from "./cold-values.js";
import type { ShardState } from "./shard-state.js";

/** Keys of a request that have no row in an arena. */
export interface MissingKeys {
  /** Their places in the request, ascending: u32[m]. */
  readonly places: Uint32Array;
  /** The distinct ones, ascending: u64[u]. */
  readonly keys: BigUint64Array;
  /** Of each place, which of the distinct keys it is: u32[m]. */
  readonly ranks: Uint32Array;
}

/** The keys whose byte in `found` (u8[n]) is 0. Takes the arena's scratch. */
export function missingKeys(front: Arena, keys: BigUint64Array, found: Uint8Array): MissingKeys {
  let m = 0;
  for (let i = 0; i < found.length; i++) if (found[i] === 0) m++;
  const places = new Uint32Array(m);
  front.beginScratch(48 * m + 4 * 64);
  const at = front.takeScratch(8 * m);
  const work = front.takeScratch(28 * m);
  const unique = front.takeScratch(8 * m);
  const ranks = front.takeScratch(4 * m);
  const from = new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
  const into = front.u32.subarray(at / 4, at / 4 + 2 * m);
  for (let i = 0, j = 0; j < m; i++) {
    if (found[i] !== 0) continue;
    places[j] = i;
    into[2 * j] = from[2 * i];
    into[2 * j + 1] = from[2 * i + 1];
    j++;
  }
  const u = front.kernel.uniqueKeys(at, m, work, unique, ranks);
  return {
    places,
    keys: front.u64.slice(unique / 8, unique / 8 + u),
    ranks: front.u32.slice(ranks / 4, ranks / 4 + m),
  };
}

/** What is known of distinct keys without asking the page store. */
interface Known {
  readonly slots: Int32Array;
  readonly values: Uint8Array[];
  /** The others, and which of the keys each is. */
  readonly unknown: BigUint64Array;
  readonly ranks: Uint32Array;
}

/** The values of distinct keys, ascending, that have no row in an arena: at once where nothing has to be read. */
export function lookUpCold(
  state: ShardState,
  cold: ColdRows,
  keys: BigUint64Array,
): ColdValues | Promise<ColdValues> {
  if (state.keeping.restore) return restored(state).then(() => lookUpCold(state, cold, keys));
  const known = takeKnown(cold, keys);
  if (known.unknown.length > 0) return readUnknown(state, cold, known);
  return joined(cold, known, undefined);
}

function takeKnown(cold: ColdRows, keys: BigUint64Array): Known {
  const halves = new Uint32Array(keys.buffer, keys.byteOffset, 2 * keys.length);
  const slots = new Int32Array(keys.length).fill(-1);
  const values: Uint8Array[] = [];
  const { stage } = cold;
  const ranks = new Uint32Array(keys.length);
  let unknown = 0;
  for (let i = 0; i < keys.length; i++) {
    const entry = stage ? stage.find(halves[2 * i], halves[2 * i + 1]) : -1;
    if (entry >= 0) slots[i] = values.push(stage!.value(entry).slice()) - 1;
    else if (cold.deleted.size === 0 || !cold.deleted.has(keys[i])) ranks[unknown++] = i;
  }
  const unknownKeys = new BigUint64Array(unknown);
  const copied = new Uint32Array(unknownKeys.buffer);
  for (let i = 0; i < unknown; i++) {
    copied[2 * i] = halves[2 * ranks[i]];
    copied[2 * i + 1] = halves[2 * ranks[i] + 1];
  }
  return { slots, values, unknown: unknownKeys, ranks: ranks.subarray(0, unknown) };
}

async function readUnknown(state: ShardState, cold: ColdRows, known: Known): Promise<ColdValues> {
  const ceased = new Set<bigint>();
  cold.watches.add(ceased);
  try {
    const read = await readColdValues(state.pages, state.arenas.front, cold, known.unknown);
    keep(cold, cold.stageFor(state.share), known.unknown, read, ceased);
    return joined(cold, known, read);
  } finally {
    cold.watches.delete(ceased);
  }
}

/** Keeps what was read for whoever asks next, but not of rows that have ceased to be cold. */
function keep(
  cold: ColdRows,
  stage: ColdStage,
  keys: BigUint64Array,
  read: ColdValues,
  ceased: ReadonlySet<bigint>,
): void {
  const halves = new Uint32Array(keys.buffer);
  for (let i = 0; i < keys.length; i++) {
    const slot = read.slots[i];
    if (slot < 0 || (ceased.size > 0 && ceased.has(keys[i]))) continue;
    const at = slot * cold.valueBytes;
    stage.add(halves[2 * i], halves[2 * i + 1], read.bytes.subarray(at, at + cold.valueBytes));
  }
}

function joined(cold: ColdRows, known: Known, read: ColdValues | undefined): ColdValues {
  const { slots, values } = known;
  if (read) {
    for (let i = 0; i < known.ranks.length; i++)
      if (read.slots[i] >= 0) slots[known.ranks[i]] = values.length + read.slots[i];
    if (values.length === 0) return { slots, count: read.count, bytes: read.bytes };
  }
  const count = values.length + (read?.count ?? 0);
  const bytes = new Uint8Array(count * cold.valueBytes);
  for (let i = 0; i < values.length; i++) bytes.set(values[i], i * cold.valueBytes);
  if (read) bytes.set(read.bytes, values.length * cold.valueBytes);
  return { slots, count, bytes };
}
