import { damagedVersion, type VersionInfo } from "../api/version-types.js";
import { unusedOf } from "./image-use.js";
import type { ShardState } from "./shard-state.js";
import type { Version } from "./version.js";

/** All versions, oldest first. */
export function versionInfos(state: ShardState): VersionInfo[] {
  return [...state.versions.values()].map((version) =>
    "damage" in version ? damagedVersion(version.name, version.damage.message) : versionInfo(state, version),
  );
}

export function versionInfo(state: ShardState, version: Version): VersionInfo {
  const { name, note, rows, cut, manifest, ledger } = version;
  const { at, lsn, generation, tables } = manifest;
  const others = { ...state, versions: new Map(state.versions) };
  others.versions.delete(name);
  const bytesOf = (arena: number, page: number) => manifest.imageBytes?.[arena]?.[page] ?? 0;
  const sum = (images: Iterable<{ arena: number; page: number }>) => {
    let bytes = 0;
    for (const { arena, page } of images) bytes += bytesOf(arena, page);
    return bytes;
  };
  return {
    name,
    note,
    at,
    lsn,
    generation,
    tables: tables.map((table, i) => ({ name: table.name, rows: rows[i] })),
    rows: rows.reduce((all, n) => all + n, 0),
    pages: ledger.count(),
    bytes: sum(ledger.entries()),
    ownBytes: sum(unusedOf(others, ledger)),
    ...(cut !== undefined && { cut }),
  };
}
