// `embershard top` and `embershard histogram`: what the rows of a table are like.
import { Command, Option } from "commander";
import type { Histogram, SurveyProgress, TopRows } from "../embedded/table-survey.js";
import { barText, progressLine } from "./bar.js";
import { cancellable } from "./cancellation.js";
import { directoryPath, teach, wholeNumberIn } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { openView, type StoreView } from "./store-view.js";
import { type Column, countText, textTable } from "./text-table.js";

const measures = ["frequency", "norm", "age"];
const barWidth = 40;

interface TopOptions {
  readonly table: string;
  readonly by: string;
  readonly count: number;
  readonly json?: boolean;
}

export function topCommand(output: Output): Command {
  const command = new Command("top")
    .summary("show the hottest keys of a table")
    .description(
      "Shows the rows that were pushed most often, have the greatest norm, or were pushed last. Reads every row once; " +
        "a store that a process has open is asked through that process, while it goes on.",
    )
    .argument("<dir>", "the store's directory", directoryPath)
    .requiredOption("--table <name>", "the table")
    .addOption(new Option("--by <measure>", "what makes a row hot").choices(measures).default("frequency"))
    .option("-n, --count <n>", "how many rows, 1 to 1,000", wholeNumberIn(1, 1000), 20)
    .option("--json", "print JSON: every number in full")
    .action(async (directory: string, { table, by, count, json }: TopOptions) => {
      const top = await surveyed(directory, output, (view, options) =>
        view.top({ table, by, count }, options),
      );
      output.out.write(json ? jsonLine(top) : topText(top, output.heading));
    });
  return teach(command, [
    "embershard top ./model --table items",
    "embershard top ./model --table items --by norm -n 5",
    "embershard top ./model --table items --json | jq -r '.rows[].key'",
  ]);
}

interface HistogramOptions {
  readonly table: string;
  readonly of: string;
  readonly json?: boolean;
}

export function histogramCommand(output: Output): Command {
  const command = new Command("histogram")
    .summary("show how a table's rows are spread, as a picture")
    .description(
      "Counts rows by how often they were pushed, by their norm, or by their age: how many steps the last push of a " +
        "row lies behind the latest one of the table. Reads every row once (twice for ages).",
    )
    .argument("<dir>", "the store's directory", directoryPath)
    .requiredOption("--table <name>", "the table")
    .addOption(new Option("--of <measure>", "what is counted").choices(measures).default("frequency"))
    .option("--json", "print JSON")
    .action(async (directory: string, { table, of, json }: HistogramOptions) => {
      const histogram = await surveyed(directory, output, (view, options) =>
        view.histogram({ table, of }, options),
      );
      output.out.write(json ? jsonLine(histogram) : histogramText(histogram, output.heading));
    });
  return teach(command, [
    "embershard histogram ./model --table items",
    "embershard histogram ./model --table items --of age",
    "embershard histogram ./model --table items --of norm --json | jq .mean",
  ]);
}

async function surveyed<T>(
  directory: string,
  { err }: Output,
  ask: (
    view: StoreView,
    options: { signal: AbortSignal; onProgress: (progress: SurveyProgress) => void },
  ) => Promise<T>,
): Promise<T> {
  const line = progressLine(err);
  return cancellable(async (signal) => {
    const view = await openView(directory);
    try {
      return await ask(view, {
        signal,
        onProgress: ({ rows, total }) => line.show(rows, total, `${countText(rows)} rows`),
      });
    } finally {
      line.clear();
      await view.close();
    }
  });
}

/** The hottest rows for people. */
export function topText({ table, by, surveyed, rows }: TopRows, heading: (text: string) => string): string {
  const columns: Column<TopRows["rows"][number]>[] = [
    { title: "key", align: "right", text: ({ key }) => key },
    { title: "frequency", align: "right", text: ({ frequency }) => countText(frequency) },
    { title: "last step", align: "right", text: ({ lastStep }) => countText(lastStep) },
    { title: "norm", align: "right", text: ({ norm }) => numberText(norm) },
  ];
  const title = `${table}, ${countText(rows.length)} of ${countText(surveyed)} rows, by ${by}`;
  if (rows.length === 0) return `${title}\n`;
  const [titles, ...lines] = textTable(columns, rows);
  return `${[title, heading(titles), ...lines].join("\n")}\n`;
}

/** A histogram for people. */
export function histogramText(
  { table, of, surveyed, nonFinite, least, mean, greatest, buckets }: Histogram,
  heading: (text: string) => string,
): string {
  const title = `${table}, ${of} of ${countText(surveyed)} rows`;
  const counts = buckets.map(({ from, to, rows }) => ({ range: rangeText(of, from, to), rows }));
  if (nonFinite > 0) counts.push({ range: "NaN or infinite", rows: nonFinite });
  if (counts.length === 0) return `${title}\n`;
  const most = Math.max(...counts.map(({ rows }) => rows));
  const columns: Column<(typeof counts)[number]>[] = [
    { title: of, align: "right", text: ({ range }) => range },
    { title: "rows", align: "right", text: ({ rows }) => countText(rows) },
    { title: "share", align: "right", text: ({ rows }) => `${((100 * rows) / surveyed).toFixed(1)} %` },
    { title: "", text: ({ rows }) => barText(rows / most, barWidth) },
  ];
  const [titles, ...lines] = textTable(columns, counts);
  const summary =
    least === null || mean === null || greatest === null
      ? []
      : [`least ${numberText(least)}, mean ${numberText(mean)}, greatest ${numberText(greatest)}`];
  return `${[title, ...summary, "", heading(titles), ...lines].join("\n")}\n`;
}

/** Whole numbers have a last one; norms have an end that they do not reach. */
function rangeText(of: string, from: number, to: number): string {
  if (of === "norm") return `${from === 0 ? "0" : numberText(from)} - ${numberText(to)}`;
  return to - from === 1 ? countText(from) : `${countText(from)} - ${countText(to - 1)}`;
}

function numberText(value: number): string {
  return Number.isInteger(value) && value < 1e15 ? countText(value) : String(Number(value.toPrecision(4)));
}
