// Verification of a directory of backups: every entry of every file, and that each backup has its pages.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import {
  backupName,
  backupNumbers,
  type PagePlace,
  packName,
  readBackup,
  readBackupIdentity,
  storeIdOf,
} from "./backup-directory.js";
import { ENTRY, EntryReader } from "./entry-file.js";
import { demandWanted } from "./page-inventory.js";
import { type Finding, statusOf, type VerifyReport } from "./report.js";
import { proverOf } from "./stored-values.js";
import type { VerifyOptions } from "./verify-store.js";

/** Reads all backups in a directory. @throws NOT_A_STORE, CORRUPT where not even the store is known, NEWER_FORMAT, IO, ABORTED */
export async function verifyBackups(
  directory: string,
  { signal, onProgress }: VerifyOptions,
): Promise<VerifyReport> {
  const began = performance.now();
  const storeId = storeIdOf(await readBackupIdentity(directory));
  const findings: Finding[] = [];
  let bytes = 0;
  const whole = new Map<number, Set<number>>();
  const prove = proverOf();
  let [records, lsn, generation] = [0, 0, 0];
  /** Reads a file as far as it is whole; what is wrong with it is a finding. */
  const readFile = async (file: string, onEntry: Parameters<typeof check>[0]): Promise<void> => {
    try {
      await check(onEntry, file);
    } catch (error) {
      if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
      findings.push(damage(file, error.message.replace(`${join(directory, file)}, `, "")));
    }
  };
  const check = async (
    onEntry: (kind: number, key: Uint8Array, value: Uint8Array, offset: number, lsn: number) => void,
    file: string,
  ): Promise<void> => {
    const reader = await EntryReader.open(join(directory, file), storeId);
    try {
      for await (const entry of reader.entries()) {
        demandWanted(signal);
        onEntry(entry.kind, entry.key, entry.value, entry.offset, entry.lsn);
      }
      bytes += reader.bytes;
      onProgress?.({ bytes, total: bytes });
    } finally {
      await reader.close();
    }
  };
  for (const name of (await readdir(join(directory, "packs")).catch(() => [] as string[])).sort()) {
    const pack = Number(/^(\d+)\.pack$/.exec(name)?.[1] ?? 0);
    if (pack === 0) continue;
    const offsets = new Set<number>();
    whole.set(pack, offsets);
    await readFile(join("packs", name), (kind, key, value, offset) => {
      const fault = kind === ENTRY.page ? prove({ key, value }) : "it is no page";
      if (fault === undefined) offsets.add(offset);
      else findings.push(damage(join("packs", name), fault, offset));
    });
  }
  const numbers = await backupNumbers(directory);
  for (const number of numbers) {
    const file = backupName(number);
    let values = 0;
    let next: number | undefined;
    await readFile(file, (kind, _key, _value, _offset, recordLsn) => {
      if (kind === ENTRY.value) values++;
      if (kind !== ENTRY.record) return;
      records++;
      next = recordLsn + 1;
    });
    const read = await readBackup(directory, number, storeId).catch((error: EmbershardError) => error);
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
    for (const place of missing(places, whole))
      findings.push(
        damage(packName(place.pack), `backup ${number} needs a page that is not there`, place.offset),
      );
    lsn = Math.max(lsn, info.lsn);
    generation = Math.max(generation, info.generation);
  }
  const used = findings.filter(({ file }) => !unfinished(file, numbers));
  return {
    directory,
    status: statusOf(used),
    findings: used,
    bytes,
    milliseconds: performance.now() - began,
    pages: [...whole.values()].reduce((sum, offsets) => sum + offsets.size, 0),
    records,
    versions: numbers.length,
    lsn,
    generation,
    shards: [],
  };
}

function damage(file: string, message: string, offset?: number): Finding {
  return { severity: "damage", part: "backup", file, offset, message, affects: {} };
}

/** The pack of a backup that was never finished counts for nothing. */
function unfinished(file: string, numbers: readonly number[]): boolean {
  const pack = /(\d+)\.pack$/.exec(file)?.[1];
  return pack !== undefined && Number(pack) > (numbers.at(-1) ?? 0);
}

function missing(places: readonly PagePlace[], whole: ReadonlyMap<number, ReadonlySet<number>>): PagePlace[] {
  return places.filter(({ pack, offset }) => !whole.get(pack)?.has(offset));
}
