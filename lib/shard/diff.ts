// What two states of a shard have in common, counted.
import type { TableDiff } from "../api/version-types.js";
import { ranksBelow } from "../base/non-finite.js";
import type { PageStore } from "../store/page-store.js";
import { type CompareOptions, compareStates } from "./comparing.js";
import type { Manifest } from "./manifest.js";

/** A state to compare. */
export interface ComparedState {
  readonly manifest: Manifest;
  /** Rows of each table, in the order of the manifest's tables. */
  readonly rows: readonly number[];
}

interface Counts {
  added: number;
  removed: number;
  changed: number;
  largest: { key: bigint; distance: number }[];
}

/** Counts what differs. `largest` rows are named for each table. @throws as compareStates */
export async function diffStates(
  pages: PageStore,
  from: ComparedState,
  to: ComparedState,
  largest: number,
  options: CompareOptions,
): Promise<readonly TableDiff[]> {
  const all = new Map<string, Counts>();
  for await (const { table, keys, added, distance, removed } of compareStates(
    pages,
    from.manifest,
    to.manifest,
    options,
  )) {
    const counts = all.get(table) ?? { added: 0, removed: 0, changed: 0, largest: [] };
    all.set(table, counts);
    counts.removed += removed.length;
    for (let i = 0; i < keys.length; i++) {
      if (added[i]) counts.added++;
      else {
        counts.changed++;
        noteDistance(counts.largest, largest, keys, i, distance[i]);
      }
    }
  }
  const before = rowsByName(from);
  const after = rowsByName(to);
  return [...new Set([...before.keys(), ...after.keys()])].map((table): TableDiff => {
    const [a, b] = [before.get(table), after.get(table)];
    const status = !a ? "made" : !b ? "dropped" : a.number === b.number ? "kept" : "remade";
    const counts = all.get(table) ?? { added: 0, removed: 0, changed: 0, largest: [] };
    const gone = status === "dropped" || status === "remade" ? a!.rows : 0;
    return {
      table,
      status,
      before: a?.rows ?? 0,
      after: b?.rows ?? 0,
      added: counts.added,
      removed: counts.removed + gone,
      changed: counts.changed,
      largest: counts.largest,
    };
  });
}

function rowsByName({ manifest, rows }: ComparedState): Map<string, { number: number; rows: number }> {
  return new Map(manifest.tables.map(({ name, number }, i) => [name, { number, rows: rows[i] }]));
}

/** Keeps the `most` greatest, in falling order; NaN is the greatest. */
function noteDistance(
  largest: { key: bigint; distance: number }[],
  most: number,
  keys: BigUint64Array,
  i: number,
  distance: number,
): void {
  if (distance === 0 || most === 0) return;
  if (largest.length === most && !ranksBelow(largest[most - 1].distance, distance)) return;
  let at = largest.length;
  while (at > 0 && ranksBelow(largest[at - 1].distance, distance)) at--;
  largest.splice(at, 0, { key: keys[i], distance });
  if (largest.length > most) largest.pop();
}
