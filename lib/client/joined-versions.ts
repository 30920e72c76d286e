// What shards say of their parts, put together.
import type { CheckpointInfo } from "../api/checkpoint-types.js";
import {
  damagedVersion,
  type RollbackInfo,
  type StateDiff,
  type TableDiff,
  type VersionInfo,
} from "../api/version-types.js";
import { greatestFirst } from "../base/non-finite.js";

export function joinCheckpoints(infos: readonly CheckpointInfo[]): CheckpointInfo {
  const [first] = infos;
  if (infos.length === 1) return first;
  const sum = (of: (info: CheckpointInfo) => number) => infos.reduce((all, info) => all + of(info), 0);
  const most = (of: (info: CheckpointInfo) => number) => Math.max(...infos.map(of));
  return {
    generation: most(({ generation }) => generation),
    lsn: most(({ lsn }) => lsn),
    pages: sum(({ pages }) => pages),
    bytes: sum(({ bytes }) => bytes),
    superseded: sum(({ superseded }) => superseded),
    milliseconds: most(({ milliseconds }) => milliseconds),
    ...(first.version && {
      version: { ...first.version, folded: sum(({ version }) => version?.folded ?? 0) },
    }),
  };
}

/** Versions by the lists of all shards, oldest first: those that a shard has no part of, or another one's, are damaged. */
export function joinVersions(lists: readonly (readonly VersionInfo[])[]): VersionInfo[] {
  if (lists.length === 1) return [...lists[0]];
  const names = new Set(lists.flat().map(({ name }) => name));
  const joined = [...names].map((name) => joinParts(name, lists));
  return joined.sort((a, b) => a.at - b.at);
}

function joinParts(name: string, lists: readonly (readonly VersionInfo[])[]): VersionInfo {
  const parts = lists.map((list) => list.find((one) => one.name === name));
  const there = parts.filter((part) => part !== undefined);
  const [first] = there;
  const damage =
    there.find((part) => part.damage !== undefined)?.damage ??
    (there.length < lists.length
      ? `it was not finished, or not all of it was deleted: ${lists.length - there.length} of ${lists.length} shards have no part of it; make it anew, or delete it`
      : first.cut === undefined || there.some(({ cut }) => cut !== first.cut)
        ? "its parts are not of one instant: make it anew, or delete it"
        : undefined);
  const sum = (of: (part: VersionInfo) => number) => there.reduce((all, part) => all + of(part), 0);
  const most = (of: (part: VersionInfo) => number) => Math.max(...there.map(of));
  const at = most((part) => part.at);
  if (damage !== undefined) return damagedVersion(name, damage, at);
  return {
    name,
    note: first.note,
    at,
    lsn: most(({ lsn }) => lsn),
    generation: most(({ generation }) => generation),
    tables: first.tables.map((table) => ({
      name: table.name,
      rows: sum(({ tables }) => tables.find((one) => one.name === table.name)?.rows ?? 0),
    })),
    rows: sum(({ rows }) => rows),
    pages: sum(({ pages }) => pages),
    bytes: sum(({ bytes }) => bytes),
    ownBytes: sum(({ ownBytes }) => ownBytes),
    ...(first.cut !== undefined && { cut: first.cut }),
  };
}

export function joinDiffs(diffs: readonly StateDiff[], largest: number): StateDiff {
  const byName = new Map<string, TableDiff>();
  for (const table of diffs.flatMap(({ tables }) => tables)) {
    const known = byName.get(table.table);
    byName.set(table.table, known ? addDiffs(known, table, largest) : table);
  }
  return { ...diffs[0], tables: [...byName.values()] };
}

function addDiffs(a: TableDiff, b: TableDiff, largest: number): TableDiff {
  return {
    ...a,
    before: a.before + b.before,
    after: a.after + b.after,
    added: a.added + b.added,
    removed: a.removed + b.removed,
    changed: a.changed + b.changed,
    largest: [...a.largest, ...b.largest]
      .sort((x, y) => greatestFirst(x.distance, y.distance))
      .slice(0, largest),
  };
}

export function joinRollbacks(infos: readonly RollbackInfo[]): RollbackInfo {
  const most = (of: (info: RollbackInfo) => number) => Math.max(...infos.map(of));
  return {
    version: infos[0].version,
    generation: most(({ generation }) => generation),
    lsn: most(({ lsn }) => lsn),
    discarded: infos.reduce((sum, { discarded }) => sum + discarded, 0),
    milliseconds: most(({ milliseconds }) => milliseconds),
  };
}
