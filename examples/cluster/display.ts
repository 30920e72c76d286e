import type { ProgressOutput } from "../movielens/progress.js";
import type { NodeFigures } from "./status.js";
import type { WorkerProgress } from "./story.js";

export interface NodeLine {
  readonly name: string;
  readonly address: string;
  readonly state: string;
  readonly figures: NodeFigures | undefined;
}

export interface WorkerLine {
  readonly name: string;
  readonly progress: WorkerProgress | undefined;
}

/** What there is to see. */
export interface View {
  readonly nodes: readonly NodeLine[];
  readonly workers: readonly WorkerLine[];
  readonly epochs: number;
  /** Of all batches, from 0 to 1. */
  readonly share: number;
  readonly seconds: number;
}

/** Shows the story: on a terminal a table that is drawn anew, elsewhere only what happens, a line each. */
export class Display {
  readonly #output: ProgressOutput;
  readonly #terminal: boolean;
  /** Lines of the table that stands there. */
  #drawn = 0;

  constructor(output: ProgressOutput) {
    this.#output = output;
    this.#terminal = output.isTTY === true;
  }

  /** Something happened: it stays to be read. */
  say(text: string): void {
    this.end();
    this.#output.write(`${text}\n`);
  }

  draw(view: View): void {
    if (!this.#terminal) return;
    const width = (this.#output.columns || 80) - 1;
    const lines = linesOf(view).map((line) => `${line.slice(0, width)}\x1b[K`);
    this.end();
    this.#output.write(`${lines.join("\n")}\n`);
    this.#drawn = lines.length;
  }

  /** Removes the table. */
  end(): void {
    if (this.#drawn > 0) this.#output.write(`\x1b[${this.#drawn}A\x1b[J`);
    this.#drawn = 0;
  }
}

const barWidth = 40;

function linesOf({ nodes, workers, epochs, share, seconds }: View): string[] {
  const full = Math.floor(share * barWidth);
  const bar = `${"█".repeat(full)}${"░".repeat(barWidth - full)}`;
  const nodeRows = nodes.map(({ name, address, state, figures }) => [
    name,
    address,
    state,
    ...(figures
      ? [figures.rows, figures.rowsPerSecond, figures.clients, figures.repeated].map(count)
      : ["", "", "", ""]),
  ]);
  const workerRows = workers.map(({ name, progress }) => [
    name,
    progress ? `${Math.min(epochs, progress.epoch + 1)}/${epochs}` : "",
    ...(progress ? [progress.batches, progress.rows, progress.retries].map(count) : ["", "", ""]),
    progress?.waitsFor === undefined ? "" : `waits for ${progress.waitsFor}`,
  ]);
  return [
    "",
    ...table("node|address|state|rows>|rows/s>|clients>|repeated>", nodeRows),
    "",
    ...table("worker|epoch>|batches>|rows>|retries>|", workerRows),
    "",
    `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${seconds.toFixed(0)} s`,
  ];
}

/** Titles are separated by bars; what ends with > stands at the right. */
function table(titles: string, rows: readonly (readonly string[])[]): string[] {
  const heads = titles.split("|");
  const lines = [heads.map((head) => head.replace(">", "")), ...rows];
  const widths = heads.map((_, c) => Math.max(...lines.map((line) => line[c]!.length)));
  return lines.map((line) =>
    line
      .map((text, c) => (heads[c]!.endsWith(">") ? text.padStart(widths[c]!) : text.padEnd(widths[c]!)))
      .join("  ")
      .trimEnd(),
  );
}

function count(value: number): string {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}
