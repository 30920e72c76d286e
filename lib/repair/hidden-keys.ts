// Which keys of the pages' LevelDB may have newer values than those that were found: in blocks and files that cannot be read.
import type { LevelFileDefect } from "../store/level-files.js";
import { readLevelTableIndex } from "../store/level-table.js";
import type { Examination } from "./examination.js";
import type { SalvagePlan } from "./salvage-plan.js";

/** Keys up to `to`, inclusive, from `from` on; behind it where that one is not among them. */
interface HiddenRange {
  readonly from: Uint8Array;
  readonly isAmong: boolean;
  readonly to: Uint8Array;
}

export interface HiddenKeys {
  /** Whether a key may have had a value in a table file which cannot be read, or in any file. */
  readonly hides: (key: Uint8Array) => boolean;
  /** Values that were written since the plan's manifest may be hidden. */
  readonly hidesLater: boolean;
}

/**
 * What damaged files may hide. Write-ahead logs may hide any key, of what was written since: where the manifest is in a table file, that is
 * what was written behind it. One that is gone, or empty, nobody misses. @throws IO
 */
export async function hiddenKeys(
  { pages, levelFiles }: Examination,
  { manifest }: Pick<SalvagePlan, "manifest">,
): Promise<HiddenKeys> {
  const everything = { hides: () => true, hidesLater: true };
  const { version, logs, tables } = levelFiles;
  const last = logs.findLast(({ current }) => current);
  const inLogs = pages.defects.filter(({ file }) => file.endsWith(".log"));
  const hidesLater = last === undefined || last.bytes === 0 || inLogs.length > 0;
  const from = [...pages.entries.values()]
    .flat()
    .find(({ proof }) => "manifest" in proof && proof.manifest === manifest)?.file;
  const isBehind = from !== undefined && tables.includes(from) && from.current;
  if (version === undefined || (hidesLater && !isBehind)) return everything;
  const ranges: HiddenRange[] = [];
  for (const defect of pages.defects) {
    if (inLogs.includes(defect)) continue;
    const range = await rangeOf(levelFiles, defect);
    if (!range) return everything;
    ranges.push(range);
  }
  const isIn = (key: Uint8Array, { from, isAmong, to }: HiddenRange) => {
    const order = Buffer.compare(key, from);
    return (order > 0 || (order === 0 && isAmong)) && Buffer.compare(key, to) <= 0;
  };
  return { hides: (key) => ranges.some((range) => isIn(key, range)), hidesLater };
}

/** The keys that a defect may hide; undefined where that may be any. */
async function rangeOf(
  { version, tables }: Examination["levelFiles"],
  { file: name, offset }: LevelFileDefect,
): Promise<HiddenRange | undefined> {
  const file = tables.find((one) => one.name === name);
  const number = /^(\d+)\.ldb$/.exec(name)?.[1];
  const said = version?.tables.get(Number(number ?? -1));
  if (!said) return undefined;
  const blocks =
    file && file.bytes === said.bytes ? (await readLevelTableIndex(file.bytes, file.read)).blocks : [];
  const at = blocks.findIndex((block) => block.offset === offset);
  if (at < 0) return { from: said.smallest, isAmong: true, to: said.largest };
  return at === 0
    ? { from: said.smallest, isAmong: true, to: blocks[0].bound }
    : { from: blocks[at - 1].bound, isAmong: false, to: blocks[at].bound };
}
