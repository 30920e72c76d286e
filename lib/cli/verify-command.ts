import { Command } from "commander";
import type { Finding, ShardVerification, VerifyReport } from "../repair/report.js";
import { verifyStore } from "../repair/verify-store.js";
import { progressLine } from "./bar.js";
import { cancellable } from "./cancellation.js";
import { EXIT } from "./failure.js";
import { directoryPath, teach } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { bytesText, type Column, countText, plural, textTable } from "./text-table.js";

export function verifyCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("verify")
    .summary("read everything in a store and say what is damaged")
    .description(
      "Reads every file of a store, open or closed, and says what is wrong, where, and what it affects. Writes nothing; " +
        "a process that has the store open goes on with its work.",
    )
    .argument("<dir>", "the store's directory", directoryPath)
    .option("--json", "print JSON")
    .action(async (directory: string, { json }: { json?: boolean }) => {
      const line = progressLine(output.err);
      const report = await cancellable((signal) =>
        verifyStore(directory, {
          signal,
          onProgress: ({ bytes, total }) => line.show(bytes, total, bytesText(bytes)),
        }),
      ).finally(() => line.clear());
      output.out.write(json ? jsonLine(report) : verifyText(report, output.heading));
      exit(report.status === "ok" ? EXIT.ok : EXIT.damaged);
    });
  return teach(command, [
    "embershard verify ./model",
    "embershard verify ./model --json | jq '.findings[].message'",
  ]);
}

/** A report for people. */
export function verifyText(report: VerifyReport, heading: (text: string) => string): string {
  const { directory, status, findings, bytes, milliseconds, pages, records, generation, lsn, shards } =
    report;
  const rate = `${bytesText(bytes)} in ${(milliseconds / 1000).toFixed(1)} s`;
  const lines = [
    `${heading(status)}  ${directory}`,
    shards.length > 1
      ? `${shards.length} shards: ${plural(pages, "page")}, ${plural(records, "record")}; ${rate}`
      : `${plural(pages, "page")}, checkpoint ${generation}, ${plural(records, "record")} up to LSN ${countText(lsn)}; ${rate}`,
    ...shardsText(shards, heading),
    ...findingsText(findings, heading),
  ];
  return `${lines.join("\n")}\n`;
}

const shardColumns: readonly Column<ShardVerification>[] = [
  { title: "shard", align: "right", text: ({ shard }) => String(shard) },
  { title: "status", text: ({ status }) => status },
  { title: "pages", align: "right", text: ({ pages }) => countText(pages) },
  { title: "checkpoint", align: "right", text: ({ generation }) => String(generation) },
  { title: "records", align: "right", text: ({ records }) => countText(records) },
  { title: "LSN", align: "right", text: ({ lsn }) => countText(lsn) },
  { title: "bytes", align: "right", text: ({ bytes }) => bytesText(bytes) },
];

/** What was found in each of several shards. */
function shardsText(shards: readonly ShardVerification[], heading: (text: string) => string): string[] {
  if (shards.length < 2) return [];
  const [titles, ...lines] = textTable(shardColumns, shards);
  return ["", heading(titles), ...lines];
}

/** Findings of one kind that are shown to people; JSON has all. */
const shownFindings = 6;

/**
 * Findings for people: damage first. Of many that say the same of other places the first ones are shown, and how many
 * more there are.
 */
export function findingsText(findings: readonly Finding[], heading: (text: string) => string): string[] {
  const kinds = new Map<string, Finding[]>();
  for (const severity of ["damage", "harmless", "note"])
    for (const finding of findings.filter((one) => one.severity === severity)) {
      const kind = `${severity} ${finding.file} ${finding.message}`;
      const same = kinds.get(kind);
      if (same) same.push(finding);
      else kinds.set(kind, [finding]);
    }
  return [...kinds.values()].flatMap((same) => {
    const lines = same.slice(0, shownFindings).flatMap((finding) => findingText(finding, heading));
    if (same.length > shownFindings)
      lines.push("", `... and ${countText(same.length - shownFindings)} more like it; --json has all`);
    return lines;
  });
}

/** A finding for people: what and where, then what it affects. */
export function findingText(finding: Finding, heading: (text: string) => string): string[] {
  const { severity, file, offset, what, message, affects } = finding;
  const place = [file, offset === undefined ? "" : `offset ${offset}`, what ?? ""].filter(
    (one) => one !== "",
  );
  const lines = ["", `${heading(severity)}  ${place.join(", ")}`, `  ${message}`];
  const { tables, rows, lsns, versions } = affects;
  if (tables) lines.push(`  tables: ${tables.join(", ")}`);
  if (rows !== undefined) lines.push(`  rows: ${countText(rows)} at most`);
  if (lsns) lines.push(`  records: LSN ${lsns.from} to ${lsns.to}`);
  if (versions) lines.push(`  versions: ${versions.join(", ")}`);
  return lines;
}
