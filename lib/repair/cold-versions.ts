// Versions of a store that has been made of what was whole, as far as they have cold rows.
import { EmbershardError } from "../base/errors.js";
import type { Manifest } from "../shard/manifest.js";
import { encodeVersionKey, readVersions, type Version } from "../shard/version.js";
import { recoverVersion } from "../shard/version-recovery.js";
import type { PageStore } from "../store/page-store.js";
import { newArenas } from "./cold-accounts.js";
import type { Loss } from "./report.js";

const pause = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/**
 * Takes out versions whose cold rows are not whole, or which are of records behind the last one, `lsn`, and names those that are
 * left.
 */
export async function settleVersions(
  pages: PageStore,
  lsn: number,
): Promise<{ losses: Loss[]; left: string[] }> {
  const losses: Loss[] = [];
  const left: string[] = [];
  for (const version of (await readVersions(pages, [])).values()) {
    left.push(version.name);
    if ("damage" in version || !isBounded(version.manifest)) continue;
    const why =
      version.manifest.lsn > lsn ? "what was logged before it is gone" : await faultOfCold(pages, version);
    if (why === undefined) continue;
    const batch = pages.batch();
    batch.del(encodeVersionKey(version.name));
    await batch.write();
    left.pop();
    losses.push({
      kind: "version",
      version: version.name,
      message: `version "${version.name}" is gone: ${why}`,
    });
  }
  return { losses, left };
}

function isBounded({ tables, cold }: Manifest): boolean {
  return cold !== undefined || tables.some(({ memory }) => memory !== undefined);
}

async function faultOfCold(pages: PageStore, version: Version): Promise<string | undefined> {
  const clock = { now: () => 0, elapsed: () => 0, after: () => () => {} };
  try {
    await recoverVersion({ pages, arenas: newArenas(), clock, pause, others: [] }, version);
    return undefined;
  } catch (error) {
    if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
    return "a cold row of it is damaged";
  }
}
