// `embershard backup` and `embershard restore`.
import { Command } from "commander";
import { atWork } from "../repair/access.js";
import { type BackupInfo, listBackups } from "../repair/backup-directory.js";
import { backupStore } from "../repair/backup-store.js";
import { withVersion } from "../repair/backup-version.js";
import type { RepairProgress } from "../repair/report.js";
import { restoreStore } from "../repair/restore-store.js";
import { progressLine } from "./bar.js";
import { cancellable } from "./cancellation.js";
import { directoryPath, teach, wholeNumber } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { bytesText, type Column, countText, textTable } from "./text-table.js";
import { atDesk } from "./versions-command.js";

export function backupCommand(output: Output): Command {
  const command = new Command("backup")
    .summary("add a backup of a store, open or closed, to a directory")
    .description(
      "Copies what the directory does not have yet of a store, open or closed, to a directory of backups. A process that " +
        "has the store open writes a checkpoint and goes on with its work; a node, and a store on several threads, make a version of all shards, which " +
        "is deleted in the end. With --list: shows the backups of a directory.",
    )
    .argument("<dir>", "the store's directory; with --list the directory of backups", directoryPath)
    .argument("[to]", "the directory of its backups; made if need be", directoryPath)
    .option("--of <version>", "back up this version, and not what the store is now")
    .option("--list", "show the backups that are there")
    .option("--json", "print JSON")
    .action(
      async (
        directory: string,
        to: string | undefined,
        { of, list, json }: { of?: string; list?: boolean; json?: boolean },
      ) => {
        if (list) {
          const backups = await listBackups(directory);
          output.out.write(json ? jsonLine({ backups }) : backupsText(backups, output.heading));
          return;
        }
        if (to === undefined) return command.error("error: missing argument 'to': where do the backups go?");
        const info = await backUp(directory, to, of, output);
        output.out.write(json ? jsonLine(info) : backupsText([info], output.heading));
      },
    );
  return teach(command, [
    "embershard backup ./model /backups/model",
    "embershard backup ./model /backups/model --of epoch-3",
    "embershard backup --list /backups/model",
    "embershard verify /backups/model",
  ]);
}

/** Backs up a version where the store's shards are at work: that of `named`, or one that is made for it. */
async function backUp(
  directory: string,
  to: string,
  named: string | undefined,
  output: Output,
): Promise<BackupInfo> {
  const work = (version: string | undefined) =>
    shown(output, (options) => backupStore(directory, to, { ...options, version }));
  if (named !== undefined || (await atWork(directory)) === undefined) return work(named);
  return withVersion(
    {
      list: () => atDesk(directory, output, (desk) => desk.list()),
      make: (version) => atDesk(directory, output, (desk, progress) => desk.create(version, progress)),
      delete: (name) => atDesk(directory, output, (desk) => desk.delete(name)),
    },
    work,
  );
}

export function restoreCommand(output: Output): Command {
  const command = new Command("restore")
    .summary("make a store out of a backup")
    .description("Makes a store out of a backup, in an empty or new directory: the same rows, to the bit.")
    .argument("<from>", "a directory of backups", directoryPath)
    .argument("<dir>", "where the store is made", directoryPath)
    .option("--at <n>", "the number of the backup (default: the last one)", wholeNumber)
    .option("--json", "print JSON")
    .action(async (from: string, directory: string, { at, json }: { at?: number; json?: boolean }) => {
      const info = await shown(output, (options) => restoreStore(from, directory, { ...options, at }));
      const text = () => `restored to ${directory}\n\n${backupsText([info], output.heading)}`;
      output.out.write(json ? jsonLine(info) : text());
    });
  return teach(command, [
    "embershard restore /backups/model ./model",
    "embershard restore /backups/model ./older --at 3",
  ]);
}

/** Does work that tells how far it is and that Ctrl-C ends. */
export function shown<T>(
  { err }: Output,
  work: (options: { signal: AbortSignal; onProgress: (progress: RepairProgress) => void }) => Promise<T>,
): Promise<T> {
  const line = progressLine(err);
  return cancellable((signal) =>
    work({ signal, onProgress: ({ bytes, total }) => line.show(bytes, total, bytesText(bytes)) }),
  ).finally(() => line.clear());
}

const columns: readonly Column<BackupInfo>[] = [
  { title: "backup", align: "right", text: ({ number }) => String(number) },
  { title: "made", text: ({ at }) => new Date(at).toISOString() },
  { title: "LSN", align: "right", text: ({ lsn }) => countText(lsn) },
  { title: "pages", align: "right", text: ({ pages }) => countText(pages) },
  { title: "new", align: "right", text: ({ newPages }) => countText(newPages) },
  { title: "records", align: "right", text: ({ records }) => countText(records) },
  { title: "bytes", align: "right", text: ({ bytes }) => bytesText(bytes) },
  { title: "versions", text: ({ versions }) => versions.join(", ") },
];

/** Backups for people. */
export function backupsText(backups: readonly BackupInfo[], heading: (text: string) => string): string {
  const [titles, ...lines] = textTable(columns, backups);
  return `${backups.length === 0 ? "no backups" : [heading(titles), ...lines].join("\n")}\n`;
}
