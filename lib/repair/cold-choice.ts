// Which of the stored values are the cold rows of a salvage. That they add up, in number and digest, proves it; where they do not,
// only those are taken that records tell for sure.
import type { ColdAccount } from "./cold-accounts.js";
import type { StoredEntry } from "./page-inventory.js";

/** A whole value of a key that is neither resident nor deleted. */
export interface ColdValue {
  readonly key: bigint;
  readonly entry: StoredEntry;
  /** The LSN of its writing. */
  readonly written: number;
  readonly checksum: bigint;
  /**
   * newest: nothing has been written over it. kept: for a version, and it counted at the last record that can be had. older: what was written
   * over it is not that either.
   */
  readonly from: "newest" | "kept" | "older";
}

/** A key whose value is damaged, and the checksum that stands in it; undefined where it has lost that, too. */
export interface DamagedValue {
  readonly key: bigint;
  readonly checksum: bigint | undefined;
}

export interface ColdCandidates {
  readonly values: readonly ColdValue[];
  readonly damaged: readonly DamagedValue[];
  /** Keys that may be those of rows of lost pages; the first sets are surer. */
  readonly onLostPages: readonly ReadonlySet<bigint>[];
  /** Rows may have been resident on pages that are gone. */
  readonly pagesLost: boolean;
  /** Whether a newer value of a key may be in a file, or a part of one, that is damaged. */
  readonly mayHide: (key: bigint) => boolean;
  /** Whether anything may. */
  readonly isHiding: boolean;
  /** Records are lost: what was written over or deleted behind them may be needed. */
  readonly isCut: boolean;
  /** As of this LSN a page may lack nothing: records behind it tell all that has become of a row. */
  readonly replayLsn: number;
}

export interface ColdChoice {
  readonly values: readonly ColdValue[];
  /** How many cold rows are gone. */
  readonly lostRows: number;
  /** Their keys: all of them, some, or more, of which nobody knows which had a row. */
  readonly lostKeys: readonly bigint[];
}

/** Chooses values; undefined where even those that are sure contradict what the log says. */
export function chooseCold(account: ColdAccount, candidates: ColdCandidates): ColdChoice | undefined {
  const { values, damaged, onLostPages } = candidates;
  const newer = values.filter(({ from }) => from !== "older");
  const hidden = [new Set<bigint>(), ...onLostPages.map((keys) => without(keys, account.demoted))];
  for (const some of newer.length < values.length ? [newer, values] : [values]) {
    for (const keys of hidden) {
      const found = addUp(
        account,
        some.filter(({ key }) => !keys.has(key)),
        damaged.filter(({ key }) => !keys.has(key)),
      );
      if (found) return found;
    }
  }
  return surely(account, candidates);
}

function without(keys: ReadonlySet<bigint>, others: ReadonlyMap<bigint, number>): Set<bigint> {
  return new Set([...keys].filter((key) => !others.has(key)));
}

/** All of them, or all but one, whichever it is, if they are as many and the same as the log says. */
function addUp(
  { cold }: ColdAccount,
  values: readonly ColdValue[],
  damaged: readonly DamagedValue[],
): ColdChoice | undefined {
  if (damaged.some(({ checksum }) => checksum === undefined)) return undefined;
  const all = [...values, ...damaged] as readonly { key: bigint; checksum: bigint }[];
  const over = BigInt.asUintN(64, all.reduce((sum, { checksum }) => sum + checksum, 0n) - cold.digest);
  const tooMany = all.length - cold.rows;
  let extra: { key: bigint } | undefined;
  if (tooMany === 1) extra = all.find(({ checksum }) => checksum === over);
  if (extra ? false : tooMany !== 0 || over !== 0n) return undefined;
  const lost = damaged.filter((one) => one !== extra);
  return {
    values: values.filter((one) => one !== extra),
    lostRows: lost.length,
    lostKeys: lost.map(({ key }) => key),
  };
}

/** Values that nothing can contradict. */
function surely(account: ColdAccount, candidates: ColdCandidates): ColdChoice | undefined {
  const { cold, demoted, changed } = account;
  const { values, damaged, pagesLost, mayHide, isHiding, isCut, replayLsn } = candidates;
  const newer = values.filter(({ from }) => from !== "older");
  // It is known what can be missing: values that are damaged, or hidden, or were written over behind the last record.
  const isKnown = isHiding || isCut || (damaged.length > 0 && newer.length + damaged.length === cold.rows);
  const isSure = ({ key, written }: ColdValue) =>
    (isKnown && !pagesLost && !mayHide(key)) ||
    (demoted.has(key) && written >= replayLsn && written >= (changed.get(key) ?? 0));
  const sure = newer.filter(isSure);
  const there = new Set(sure.map(({ key }) => key));
  const named = [...values, ...damaged].map(({ key }) => key).concat([...demoted.keys()]);
  const digest = sure.reduce((sum, { checksum }) => sum + checksum, 0n);
  const lostRows = cold.rows - sure.length;
  if (lostRows < 0 || (lostRows === 0 && BigInt.asUintN(64, digest) !== cold.digest)) return undefined;
  return { values: sure, lostRows, lostKeys: [...new Set(named)].filter((key) => !there.has(key)) };
}
