import { Command } from "commander";
import { repairStore } from "../repair/repair-store.js";
import type { Loss, RepairReport } from "../repair/report.js";
import { shown } from "./backup-commands.js";
import { EXIT } from "./failure.js";
import { directoryPath, teach } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { countText } from "./text-table.js";
import { findingsText } from "./verify-command.js";

export function repairCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("repair")
    .summary("make a damaged store whole again")
    .description(
      "Makes a damaged store whole again of what is whole in it. The damaged directory is kept under another name. What " +
        "cannot be repaired without losing rows or pushes is left alone and said, unless --accept-loss is given.",
    )
    .argument("<dir>", "the store's directory; nobody may have it open", directoryPath)
    .option("--accept-loss", "repair what can be, and lose the rest, which is said")
    .option("--json", "print JSON")
    .action(
      async (directory: string, { acceptLoss = false, json }: { acceptLoss?: boolean; json?: boolean }) => {
        const report = await shown(output, (options) => repairStore(directory, { ...options, acceptLoss }));
        output.out.write(json ? jsonLine(report) : repairText(report, output.heading));
        exit(report.status === "refused" ? EXIT.damaged : EXIT.ok);
      },
    );
  return teach(command, [
    "embershard repair ./model",
    "embershard repair ./model --accept-loss --json > lost.json",
  ]);
}

/** Losses that are shown to people; JSON has all. */
const shownLosses = 8;

/** A report for people. */
export function repairText(report: RepairReport, heading: (text: string) => string): string {
  const { directory, status, findings, losses, original } = report;
  const said = {
    whole: "nothing is damaged; nothing was changed",
    repaired: losses.length === 0 ? "repaired, and nothing is lost" : "repaired; lost is what follows",
    refused: "nothing was changed: this would be lost; --accept-loss repairs the rest",
  }[status];
  const lines = [
    `${heading(status)}  ${directory}`,
    said,
    ...losses.slice(0, shownLosses).flatMap(lossText),
    ...(losses.length > shownLosses
      ? ["", `... and ${countText(losses.length - shownLosses)} more losses; --json has all`]
      : []),
    ...(original === null ? [] : ["", `the damaged store is kept: ${original}`]),
    ...(status === "whole" ? [] : findingsText(findings, heading)),
  ];
  return `${lines.join("\n")}\n`;
}

function lossText({ kind, message, tables, rows, keys }: Loss): string[] {
  const lines = ["", `  ${message}`];
  if (tables && tables.length > 0) lines.push(`  tables: ${tables.join(", ")}`);
  if (kind === "page" && rows !== undefined) lines.push(`  rows: ${countText(rows)} at most`);
  if (keys && keys.length > 0)
    lines.push(
      `  keys among them: ${keys.slice(0, 20).join(", ")}${keys.length > 20 ? ", ... (--json has more)" : ""}`,
    );
  return lines;
}
