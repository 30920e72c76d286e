// `embershard versions`: what a store was, kept, compared and gone back to.
import { Command } from "commander";
import type { Store, VersionInfo } from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { connect } from "../client/connect.js";
import { livingOwner } from "../directory/owner.js";
import { connectControl } from "../embedded/control-client.js";
import {
  type ShownDiff,
  type VersionDesk,
  type VersionProgress,
  type VersionWork,
  versionDesk,
} from "../embedded/version-handlers.js";
import { progressLine } from "./bar.js";
import { cancellable } from "./cancellation.js";
import { openClosed } from "./closed-store.js";
import { teach, wholeNumber, wholeNumberIn } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { bytesText, type Column, countText, durationText, plural, textTable } from "./text-table.js";

interface Common {
  readonly json?: boolean;
}

export function versionsCommand(output: Output): Command {
  const command = new Command("versions")
    .summary("list, make, compare, roll back to and delete versions of a store")
    .description(
      "A version is the store as it was at one moment, kept until it is deleted. A store that a process has open is asked " +
        "through that process, while it goes on; a closed one is opened for a moment. One that nodes serve is asked through them, by its " +
        "directory or by the address that clients connect to.",
    );
  command.addCommand(listCommand(output));
  command.addCommand(createCommand(output));
  command.addCommand(diffCommand(output));
  command.addCommand(rollbackCommand(output));
  command.addCommand(deleteCommand(output));
  return teach(command, [
    "embershard versions create ./model epoch-3 --note 'before the new features'",
    "embershard versions list ./model",
    "embershard versions diff ./model epoch-2 epoch-3",
    "embershard versions rollback ./model epoch-2",
    "embershard versions list ember://127.0.0.1:7400",
  ]);
}

function listCommand(output: Output): Command {
  return new Command("list")
    .summary("list versions, oldest first")
    .argument("<store>", "the store's directory, or the ember:// address of its nodes")
    .option("--json", "print JSON")
    .action(async (directory: string, { json }: Common) => {
      const versions = await atDesk(directory, output, (desk) => desk.list());
      const text = () => versionsText(versions, Date.now(), output.heading);
      output.out.write(json ? jsonLine({ versions }) : text());
    });
}

function createCommand(output: Output): Command {
  return new Command("create")
    .summary("write a checkpoint and keep it as a version")
    .argument("<store>", "the store's directory, or the ember:// address of its nodes")
    .argument("<name>", "the version's name")
    .option("--note <text>", "what there is to say about it")
    .option("--keep <n>", "delete the oldest versions beyond n", wholeNumber)
    .option("--json", "print JSON")
    .action(
      async (
        directory: string,
        name: string,
        { json, ...rest }: Common & { note?: string; keep?: number },
      ) => {
        const info = await atDesk(directory, output, (desk, work) => desk.create({ name, ...rest }, work));
        const { folded, deleted } = info.version!;
        const gone = deleted.length > 0 ? `; deleted ${deleted.join(", ")}` : "";
        const text = `made version ${name} at LSN ${countText(info.lsn)}: ${countText(info.pages + folded)} pages written${gone}\n`;
        output.out.write(json ? jsonLine(info) : text);
      },
    );
}

function diffCommand(output: Output): Command {
  return new Command("diff")
    .summary("show how two versions differ, or a version and the live state")
    .argument("<store>", "the store's directory, or the ember:// address of its nodes")
    .argument("<from>", "the earlier version")
    .argument("[to]", "the later version; the live state without it")
    .option(
      "-n, --largest <n>",
      "rows to name of each table, those that have moved furthest",
      wholeNumberIn(0, 1000),
      5,
    )
    .option("--json", "print JSON")
    .action(
      async (
        directory: string,
        from: string,
        to: string | undefined,
        { json, largest }: Common & { largest: number },
      ) => {
        const diff = await atDesk(directory, output, (desk, work) =>
          desk.diff({ from, largest, ...(to !== undefined && { to }) }, work),
        );
        output.out.write(json ? jsonLine(diff) : diffText(diff, output.heading));
      },
    );
}

function rollbackCommand(output: Output): Command {
  return new Command("rollback")
    .summary("make the store what it was at a version")
    .argument("<store>", "the store's directory, or the ember:// address of its nodes")
    .argument("<name>", "the version")
    .option("--json", "print JSON")
    .action(async (directory: string, name: string, { json }: Common) => {
      const info = await atDesk(directory, output, (desk) => desk.rollback(name));
      const text = `rolled back to version ${name}: ${plural(info.discarded, "record")} after it ${info.discarded === 1 ? "counts" : "count"} no more\n`;
      output.out.write(json ? jsonLine(info) : text);
    });
}

function deleteCommand(output: Output): Command {
  return new Command("delete")
    .summary("delete versions, and give back what only they need")
    .argument("<store>", "the store's directory, or the ember:// address of its nodes")
    .argument("<names...>", "the versions")
    .option("--json", "print JSON")
    .action(async (directory: string, names: string[], { json }: Common) => {
      const deleted = [...new Set(names)];
      await atDesk(directory, output, async (desk) => {
        demandKnown(deleted, await desk.list());
        for (const name of deleted) await desk.delete(name);
      });
      output.out.write(json ? jsonLine({ deleted }) : `deleted ${deleted.join(", ")}\n`);
    });
}

/** All of them are deleted, or none. @throws VERSION_NOT_FOUND */
function demandKnown(names: readonly string[], versions: readonly VersionInfo[]): void {
  const missing = names.filter((name) => !versions.some((version) => version.name === name));
  if (missing.length === 0) return;
  const there = versions.map(({ name }) => `"${name}"`).join(", ");
  throw new EmbershardError(
    "VERSION_NOT_FOUND",
    `no version ${missing.map((name) => `"${name}"`).join(", ")}: there are ${there || "none"}; nothing was deleted`,
  );
}

/** Has the owner of a store do the work, or opens it for that; Ctrl-C ends it. */
export async function atDesk<T>(
  directory: string,
  { err }: Output,
  use: (desk: VersionDesk, work: VersionWork) => Promise<T>,
): Promise<T> {
  const line = progressLine(err);
  const onProgress = ({ pages, total }: VersionProgress) =>
    line.show(pages, total, `${countText(pages)} of ${countText(total)} pages`);
  return cancellable(async (signal) => {
    const { desk, close } = await openDesk(directory);
    try {
      return await use(desk, { signal, onProgress });
    } finally {
      line.clear();
      await close();
    }
  });
}

const scheme = "ember://";

function deskOf(store: Store): { desk: VersionDesk; close: () => Promise<void> } {
  return { desk: versionDesk(store), close: () => store.close() };
}

/** Opens a closed store. One that a node has open is asked through it: of a cluster, what all of its nodes have. */
async function openOrAsk(directory: string): Promise<Store> {
  try {
    return await openClosed(directory);
  } catch (error) {
    // UNSUPPORTED: it is of a cluster's node.
    const { code } = error as Partial<EmbershardError>;
    if (code !== "LOCKED" && code !== "UNSUPPORTED") throw error;
    const owner = await livingOwner(directory);
    if (owner?.as?.kind !== "node") throw error;
    return connect(`${scheme}${owner.as.address}`);
  }
}

/** The versions of a store, wherever it is open. LOCKED where a process has it open and does not listen. */
export async function openDesk(
  directory: string,
): Promise<{ desk: VersionDesk; close: () => Promise<void> }> {
  if (directory.startsWith(scheme)) return deskOf(await connect(directory));
  const client = await connectControl(directory);
  if (client === undefined) return deskOf(await openOrAsk(directory));
  const ask = async <T>(
    method: string,
    params: unknown,
    { signal, onProgress, aborted }: VersionWork & { aborted?: string } = {},
  ) =>
    (await client.ask(`versions.${method}`, params, {
      signal,
      aborted,
      onProgress: (progress) => progress && onProgress?.(progress as VersionProgress),
    })) as T;
  const desk: VersionDesk = {
    list: () => ask("list", {}),
    create: (version, work) =>
      ask("create", version, {
        ...work,
        aborted: "making the version was aborted: `versions list` says whether it is there",
      }),
    diff: (question, work) => ask("diff", question, { ...work, aborted: "the comparison was aborted" }),
    rollback: (name) => ask("rollback", { name }),
    delete: (name) => ask("delete", { name }),
    rows: (question) => ask("rows", question),
  };
  return { desk, close: async () => client.close() };
}

/** Versions for people; `now` is in milliseconds since the epoch. */
export function versionsText(
  versions: readonly VersionInfo[],
  now: number,
  heading: (text: string) => string,
): string {
  if (versions.length === 0) return "no versions\n";
  const columns: Column<VersionInfo>[] = [
    { title: "version", text: ({ name }) => name },
    {
      title: "age",
      align: "right",
      text: ({ at, damage }) => (damage ? "" : durationText(Math.max(0, now - at))),
    },
    { title: "LSN", align: "right", text: ({ lsn, damage }) => (damage ? "" : countText(lsn)) },
    { title: "rows", align: "right", text: ({ rows, damage }) => (damage ? "" : countText(rows)) },
    { title: "bytes", align: "right", text: ({ bytes, damage }) => (damage ? "" : bytesText(bytes)) },
    { title: "its own", align: "right", text: ({ ownBytes, damage }) => (damage ? "" : bytesText(ownBytes)) },
    { title: "note", text: ({ note, damage }) => (damage ? `damaged: ${damage}` : note.split("\n")[0]) },
  ];
  const [titles, ...lines] = textTable(columns, versions);
  return `${[heading(titles), ...lines].join("\n")}\n`;
}

/** A difference for people. */
export function diffText({ from, to, tables }: ShownDiff, heading: (text: string) => string): string {
  const columns: Column<ShownDiff["tables"][number]>[] = [
    { title: "table", text: ({ table, status }) => (status === "kept" ? table : `${table} (${status})`) },
    { title: "before", align: "right", text: ({ before }) => countText(before) },
    { title: "after", align: "right", text: ({ after }) => countText(after) },
    { title: "added", align: "right", text: ({ added }) => countText(added) },
    { title: "removed", align: "right", text: ({ removed }) => countText(removed) },
    { title: "changed", align: "right", text: ({ changed }) => countText(changed) },
  ];
  const [titles, ...lines] = textTable(columns, tables);
  const moved = tables
    .filter(({ largest }) => largest.length > 0)
    .map(({ table, largest }) => {
      const rows = largest.map(({ key, distance }) => `${key} (${Number(distance.toPrecision(4))})`);
      return `moved furthest in ${table}: ${rows.join(", ")}`;
    });
  return `${[`from ${from} to ${to}`, heading(titles), ...lines, ...moved].join("\n")}\n`;
}
