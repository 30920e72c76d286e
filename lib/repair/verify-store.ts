import { join } from "node:path";
import type { Store } from "../api/store-types.js";
import { type AccessOptions, atWork, directoryOf, type LiveStore, withFiles } from "./access.js";
import { isBackupDirectory } from "./backup-directory.js";
import { type Examination, examineShards } from "./examination.js";
import {
  type Finding,
  type RepairProgress,
  type ShardVerification,
  statusOf,
  type VerifyReport,
} from "./report.js";
import { logFolder } from "./shard-files.js";
import { judge } from "./verification.js";
import { verifyBackups } from "./verify-backups.js";

export interface VerifyOptions extends Pick<AccessOptions, "signal"> {
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
}

/**
 * Reads everything in a store's directory and says what is wrong, where, and what it affects. Writes nothing. A store
 * that is open, here or in another process, goes on meanwhile; of one that a node or several threads have open the log is not
 * read, which a note says. A directory of backups is read likewise.
 *
 * @throws NOT_A_STORE, NEWER_FORMAT, LOCKED, IO, ABORTED, INVALID_ARGUMENT; UNSUPPORTED of one that nodes serve
 */
export async function verifyStore(store: string | Store, options: VerifyOptions = {}): Promise<VerifyReport> {
  const directory = directoryOf(store);
  if (await isBackupDirectory(directory)) return verifyBackups(directory, options);
  const who = await atWork(directory);
  if (who !== undefined)
    return verifyFiles(directory, { ...options, live: true, withLog: false }, (found) =>
      judgeBeside(judge(found), who, found),
    );
  return withFiles(store, options, (live, signal) =>
    verifyFiles(directory, { ...options, signal, live: live !== undefined, withLog: true }, (found) =>
      judgeLive(judge(found), live, found),
    ),
  );
}

async function verifyFiles(
  directory: string,
  { signal, onProgress, live, withLog }: VerifyOptions & { live: boolean; withLog: boolean },
  judged: (found: Examination) => Finding[],
): Promise<VerifyReport> {
  const began = performance.now();
  const parts = await examineShards(
    directory,
    { signal, onProgress, live, withLog, coldRows: "damaged" },
    (found) => {
      const findings = judged(found);
      return { findings, report: shardReportOf(found, findings) };
    },
  );
  const shards = parts.map(({ report }) => report);
  const findings = parts.flatMap((part) => part.findings);
  const sum = (of: (shard: ShardVerification) => number) => shards.reduce((all, shard) => all + of(shard), 0);
  return {
    directory,
    status: statusOf(findings),
    findings,
    bytes: sum(({ bytes }) => bytes),
    milliseconds: performance.now() - began,
    pages: sum(({ pages }) => pages),
    records: sum(({ records }) => records),
    versions: sum(({ versions }) => versions),
    lsn: Math.max(...shards.map(({ lsn }) => lsn)),
    generation: Math.max(...shards.map(({ generation }) => generation)),
    shards,
  };
}

/** Beside who keeps nothing in place: what is in the making looks like what a crash leaves. */
function judgeBeside(findings: Finding[], who: string, { directory, shard }: Examination): Finding[] {
  const message = `it is not read: ${directory} is ${who}. Stop it to verify the log, too`;
  return [
    ...findings.filter(({ severity }) => severity !== "note"),
    { severity: "note", part: "log", file: logFolder(shard), message, affects: {} },
  ];
}

/** What is being written by a store at work looks like what a crash leaves. */
function judgeLive(findings: Finding[], live: LiveStore | undefined, { log, shard }: Examination): Finding[] {
  if (!live) return findings;
  const real = findings.filter(({ severity }) => severity !== "note");
  const last = Math.max(0, ...log.segments.map(({ nextLsn }) => nextLsn - 1));
  if (last >= live.writtenLsn || real.some(({ part }) => part === "log")) return real;
  const message = `it ends at LSN ${last}, though LSN ${live.writtenLsn} was written`;
  const affects = { lsns: { from: last + 1, to: live.writtenLsn } };
  return [
    ...real,
    {
      severity: "damage",
      part: "log",
      file: join(logFolder(shard), log.segments.at(-1)?.file ?? ""),
      message,
      affects,
    },
  ];
}

function shardReportOf(
  { shard, bytes, pages: inventory, log }: Examination,
  findings: Finding[],
): ShardVerification {
  let pages = 0;
  let versions = 0;
  let generation = 0;
  let lsn = 0;
  for (const [first] of inventory.entries.values()) {
    if (!first.file.current || first.deletion) continue;
    if (first.proof.kind === "page") pages++;
    else if (first.proof.kind === "version") versions++;
    else if (first.proof.kind === "manifest") ({ generation, lsn } = first.proof.manifest);
  }
  const { segments } = log;
  return {
    shard,
    // What is wrong with the file `store` is told with the first shard, and is none of it.
    status: statusOf(findings.filter(({ part }) => part !== "identity")),
    bytes,
    pages,
    records: segments.reduce((sum, { firstLsn, nextLsn }) => sum + nextLsn - firstLsn, 0),
    versions,
    lsn: log.read ? Math.max(0, ...segments.map(({ nextLsn }) => nextLsn - 1)) : lsn,
    generation,
  };
}
