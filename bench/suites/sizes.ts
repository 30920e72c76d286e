import { mkdirSync, writeFileSync } from "node:fs";
import { freemem } from "node:os";
import { join } from "node:path";
import { lineChart } from "../../examples/plot/line-chart.js";
import { type Figure, shown } from "../figure.js";
import { startCTable } from "../peers/c-table.js";
import { median, type Rates, race, ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { Suite, SuiteContext } from "../suite.js";
import { startStore } from "./rows-subjects.js";

const SIZES = [
  10_000, 30_000, 100_000, 300_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 32_000_000,
];
const DIM = 64;
/** Of a row in memory, index and slack included, generously. */
const ROW_BYTES = 700;

export const sizes: Suite = {
  name: "sizes",
  about: "rows/s against table size, from 10^4 rows to what memory allows",
  async run(context) {
    const figures: Figure[] = [];
    const lines = new Map<string, [number, number][]>();
    // Two tables at a time, and half of the memory stays free for whatever else runs here.
    const most = Math.min(
      freemem() / 2 / (2 * ROW_BYTES),
      context.options.quick ? Math.max(SIZES[0], context.options.rows / 2) : Number.POSITIVE_INFINITY,
    );
    for (const rows of SIZES.filter((size) => size <= most)) {
      const started = await start(context, rows);
      for (const operation of ["pull", "push"]) {
        const rates = await race(started, [operation, "uniform", context.options.roundMs / 2], 3);
        figures.push(figureOf(`${operation}-${DIM}-of-${rows}`, started, rates));
        for (const { name } of started) {
          const line = `${name}, ${operation}`;
          lines.set(line, [...(lines.get(line) ?? []), [rows, median(rates.get(name)!)]]);
        }
      }
      await Promise.all(started.map((subject) => subject.stop()));
    }
    if (context.options.plot !== undefined) plot(context.options.plot, lines, context.options.batch);
    return figures;
  },
};

function figureOf(name: string, started: readonly Subject[], rates: Map<string, Rates>): Figure {
  const [own, peer] = started.map((subject) => rates.get(subject.name)!);
  if (peer === undefined) return shown(name, median(own), { unit: "rows/s" });
  return shown(name, ratioOf(own, peer), { unit: "rows/s", peerName: started[1].name });
}

async function start(context: SuiteContext, rows: number): Promise<Subject[]> {
  const batch = Math.min(context.options.batch, rows);
  const store = await startStore(context, "Embershard", { rows, batch, dim: DIM });
  const c = await startCTable(context, { rows, dim: DIM, batch, pages: "plain" });
  return c ? [store, c] : [store];
}

function plot(directory: string, lines: Map<string, [number, number][]>, batch: number): void {
  mkdirSync(directory, { recursive: true });
  const svg = lineChart({
    title: `Rows per second against table size (dim ${DIM}, Adagrad, batch ${batch.toLocaleString("en")}, uniform)`,
    x: { label: "rows in the table", log: true },
    y: { label: "rows/s", from: 0 },
    series: [...lines].map(([name, points]) => ({ name, points })),
  });
  writeFileSync(join(directory, "sizes.svg"), svg);
}
