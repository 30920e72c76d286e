import { suite } from "uvu";
import { admissionLaws } from "./admission-laws.js";
import { durabilityLaws } from "./durability-laws.js";
import { counterLaws, evictionLaws, scatteredEvictionLaws } from "./eviction-laws.js";
import { optimizerLaws } from "./optimizer-laws.js";
import { rowLaws } from "./row-laws.js";
import { schemaLaws } from "./schema-laws.js";
import { storageLaws } from "./storage-laws.js";
import { tensorLaws } from "./tensor-laws.js";
import type { Open, Opened } from "./twin.js";
import { versionLaws } from "./version-laws.js";

/** Declares one law, which gets a store of its own. */
export type Law = (name: string, check: (opened: Opened) => Promise<void>) => void;

/** What every store does, wherever it is: the same program gives the same bits as the oracle. */
export function tableLaws(name: string, open: Open): void {
  declare(name, open, [
    rowLaws,
    optimizerLaws,
    schemaLaws,
    tensorLaws,
    admissionLaws,
    durabilityLaws,
    evictionLaws,
    counterLaws,
  ]);
}

/** What holds of tables over several shards. Which rows a table lets go depends on what else its shard holds. */
export function scatteredTableLaws(name: string, open: Open): void {
  declare(name, open, [
    rowLaws,
    optimizerLaws,
    schemaLaws,
    tensorLaws,
    admissionLaws,
    durabilityLaws,
    scatteredEvictionLaws,
    counterLaws,
  ]);
}

/** Laws of versions alone. */
export function storeVersionLaws(name: string, open: Open): void {
  declare(name, open, [versionLaws]);
}

/** Laws of what survives alone, for stores that take long to open and are otherwise like others. */
export function survivalLaws(name: string, open: Open): void {
  declare(name, open, [durabilityLaws]);
}

/** What holds of tables that are larger than their memory, too; they evict by the laws of `coldEvictionLaws`. */
export function limitedTableLaws(name: string, open: Open): void {
  declare(name, open, [rowLaws, optimizerLaws, schemaLaws, tensorLaws, admissionLaws, durabilityLaws]);
}

/** Laws of eviction alone, for tables whose rows are cold. */
export function coldEvictionLaws(name: string, open: Open): void {
  declare(name, open, [evictionLaws, counterLaws]);
}

/** What holds of tables however their rows are stored. */
export function tableStorageLaws(name: string, open: Open): void {
  declare(name, open, [storageLaws]);
}

function declare(name: string, open: Open, laws: readonly ((law: Law) => void)[]): void {
  const test = suite(name);
  const law: Law = (title, check) =>
    test(title, async () => {
      const opened = await open();
      try {
        await check(opened);
      } finally {
        await opened.end();
      }
    });
  for (const declareLaws of laws) declareLaws(law);
  test.run();
}
