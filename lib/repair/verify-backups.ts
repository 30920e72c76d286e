// Verification of a directory of backups: every entry of every file, and that each backup has its pages.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import {
  backupName,
  backupNumbers,
  type PagePlace,
  packName,
  packNumbers,
  readBackupIdentity,
  readShardBackup,
  storeIdOf,
} from "./backup-directory.js";
import { ENTRY, type Entry, EntryReader, type FileOwner } from "./entry-file.js";
import { demandWanted } from "./page-inventory.js";
import { type Finding, statusOf, type VerifyReport } from "./report.js";
import { proverOf } from "./stored-values.js";
import type { VerifyOptions } from "./verify-store.js";

/** Reads all backups in a directory. @throws NOT_A_STORE, CORRUPT where not even the store is known, NEWER_FORMAT, IO, ABORTED */
export async function verifyBackups(directory: string, options: VerifyOptions): Promise<VerifyReport> {
  const began = performance.now();
  const store = await readBackupIdentity(directory);
  const storeId = storeIdOf(store);
  const numbers = await backupNumbers(directory);
  const sums = { bytes: 0, pages: 0, records: 0, lsn: 0, generation: 0 };
  const findings: Finding[] = [];
  for (let shard = 0; shard < store.shards; shard++)
    findings.push(...(await verifyShard({ directory, owner: { storeId, shard }, numbers }, sums, options)));
  return {
    directory,
    status: statusOf(findings),
    findings,
    milliseconds: performance.now() - began,
    versions: numbers.length,
    ...sums,
    shards: [],
  };
}

interface Checked {
  readonly directory: string;
  readonly owner: FileOwner;
  readonly numbers: readonly number[];
}

interface Sums {
  bytes: number;
  pages: number;
  records: number;
  lsn: number;
  generation: number;
}

async function verifyShard(
  { directory, owner, numbers }: Checked,
  sums: Sums,
  { signal, onProgress }: VerifyOptions,
): Promise<Finding[]> {
  const findings: Finding[] = [];
  const { shard } = owner;
  const prove = proverOf();
  const check = async (file: string, onEntry: OnEntry): Promise<void> => {
    const reader = await EntryReader.open(join(directory, file), owner);
    try {
      for await (const entry of reader.entries()) {
        demandWanted(signal);
        onEntry(entry);
      }
      sums.bytes += reader.bytes;
      onProgress?.({ bytes: sums.bytes, total: sums.bytes });
    } finally {
      await reader.close();
    }
  };
  /** Reads a file as far as it is whole; what is wrong with it is a finding. */
  const readFile = async (file: string, onEntry: OnEntry): Promise<void> => {
    try {
      await check(file, onEntry);
    } catch (error) {
      if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
      findings.push(damage(file, error.message.replace(`${join(directory, file)}, `, "")));
    }
  };
  const whole = new Map<number, Set<number>>();
  for (const pack of await packNumbers(directory, shard)) {
    // The pack of a backup that was never finished counts for nothing.
    if (pack > (numbers.at(-1) ?? 0)) continue;
    const file = packName(shard, pack);
    const offsets = new Set<number>();
    whole.set(pack, offsets);
    await readFile(file, ({ kind, key, value, offset }) => {
      const fault = kind === ENTRY.page ? prove({ key, value }) : "it is no page";
      if (fault === undefined) offsets.add(offset);
      else findings.push(damage(file, fault, offset));
    });
    sums.pages += offsets.size;
  }
  for (const number of numbers) {
    const file = backupName(shard, number);
    if (!(await exists(join(directory, file)))) {
      findings.push(damage(file, `backup ${number} has nothing of shard ${shard}: the file is missing`));
      continue;
    }
    let values = 0;
    let next: number | undefined;
    await readFile(file, ({ kind, lsn }) => {
      if (kind === ENTRY.value) values++;
      if (kind !== ENTRY.record) return;
      sums.records++;
      next = lsn + 1;
    });
    const read = await readShardBackup(directory, number, owner).catch((error: EmbershardError) => error);
    if (read instanceof EmbershardError) {
      if (read.code !== "CORRUPT") throw read;
      continue;
    }
    const { info, places } = read;
    if (
      values !== info.values ||
      (next ?? info.replayLsn + 1) !== info.lsn + 1 ||
      places.length !== info.pages
    )
      findings.push(damage(file, "it does not hold all that it says"));
    for (const { pack, offset } of missing(places, whole))
      findings.push(damage(packName(shard, pack), `backup ${number} needs a page that is not there`, offset));
    sums.lsn = Math.max(sums.lsn, info.lsn);
    sums.generation = Math.max(sums.generation, info.generation);
  }
  return findings;
}

type OnEntry = (entry: Entry) => void;

function damage(file: string, message: string, offset?: number): Finding {
  return { severity: "damage", part: "backup", file, offset, message, affects: {} };
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function missing(places: readonly PagePlace[], whole: ReadonlyMap<number, ReadonlySet<number>>): PagePlace[] {
  return places.filter(({ pack, offset }) => !whole.get(pack)?.has(offset));
}
