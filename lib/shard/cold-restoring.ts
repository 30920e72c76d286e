// After a rollback: the cold rows of the version become those of today. What it puts back is written anew, at the rollback's
// LSN, so that to versions in between and later ones it is a change like others. It can be done twice, after a crash.
import { EmbershardError } from "../base/errors.js";
import type { PageStore } from "../store/page-store.js";
import { type ColdRestore, type Keepers, keepSuperseded } from "./cold-keeping.js";
import { countingRows, isOf, type PastRows, type PastValue, pastValues } from "./cold-past.js";
import { encodeColdKey } from "./cold-values.js";
import type { Recovered } from "./recovered.js";
import type { ShardState } from "./shard-state.js";

/** What putting cold rows back works on. */
export interface RestoredState extends Keepers, Pick<Recovered, "arenas" | "cold"> {
  readonly pages: PageStore;
  readonly pause: () => Promise<void>;
}

/** Values that are changed in one batch. */
const batchValues = 4096;

/** Puts back the cold rows of a version. Nobody else may change values, nor rely on them. @throws CORRUPT, IO */
export async function restoreColdRows(state: RestoredState, { lsn, at }: ColdRestore): Promise<void> {
  for await (const all of pastValues(state.pages)) {
    for (let from = 0; from < all.length; from += batchValues) {
      const some = all.slice(from, from + batchValues);
      const batch = state.pages.batch();
      let changes = 0;
      for (const one of some) {
        if (!isToGo(state, one, lsn, at)) continue;
        keepSuperseded(state, batch, { ...one, at }, one.value);
        batch.del(encodeColdKey(one.table, one.key));
        changes++;
      }
      const back = some.filter((one) => one.superseded !== undefined && isOf(one, lsn));
      for (const rows of countingRows(state, back)) {
        sealAgain(state, rows, at);
        const { cold, keys, values } = rows;
        for (const [i, key] of keys.entries()) {
          const value = values.subarray(i * cold.valueBytes, (i + 1) * cold.valueBytes);
          batch.put(encodeColdKey(cold.table.definition.number, key), value);
          changes++;
        }
      }
      if (changes > 0) await batch.write();
    }
    await state.pause();
  }
  for (const one of state.cold.values()) one.written = true;
}

/** Whether a value of today was written after the version, or is of a table that the version does not have. */
function isToGo(
  { cold }: RestoredState,
  { table, written, superseded }: PastValue,
  lsn: number,
  at: number,
): boolean {
  if (superseded !== undefined) return false;
  return !cold.has(table) || (written > lsn && written !== at);
}

function sealAgain(
  { arenas: { front } }: RestoredState,
  { cold, keys, values }: PastRows,
  lsn: number,
): void {
  front.beginScratch(values.length + 64);
  const at = front.takeScratch(values.length);
  front.bytes.set(values, at);
  front.kernel.sealAgain(at, keys.length, cold.table.recordBytes, BigInt(lsn));
  values.set(front.bytes.subarray(at, at + values.length));
}

/** Puts cold rows back, if a rollback has left that to do. A manifest has to say that they are back. @throws CORRUPT, IO */
export async function finishRestore(state: ShardState): Promise<void> {
  const { restore } = state.keeping;
  if (restore) await restoreColdRows(state, restore);
}

/** Waits until cold rows can be read. @throws IO when that is not now */
export async function restored({ keeping }: ShardState): Promise<void> {
  await keeping.restored;
  if (keeping.restore)
    throw new EmbershardError(
      "IO",
      "the cold rows of the version that was rolled back to could not be put back yet: ask again",
    );
}
