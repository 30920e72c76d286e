import { access, mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError, openStore } from "../../lib/index.js";
import { readMovieLens, splitRatings } from "./data.js";
import { generateData } from "./generated-data.js";
import { MOST_EPOCHS } from "./position.js";
import { type ProgressOutput, progressDisplay } from "./progress.js";
import { learningCurve, type Report, reportOf, reportText } from "./report.js";
import { EPOCHS, SEED, SETTINGS } from "./settings.js";
import { type Progress, type Task, train } from "./training.js";

export interface RunOptions {
  /** The directory of MovieLens 100K; generated data without it. */
  readonly path?: string | undefined;
  /** Where parameters and learning curve go. */
  readonly dir?: string | undefined;
  readonly epochs?: number | undefined;
  readonly seed?: number | undefined;
  /** Throws the parameters in `dir` away and starts over. */
  readonly fresh?: boolean | undefined;
  /** Reports as one JSON object. */
  readonly json?: boolean | undefined;
  /** How this user calls the command line, for the report to say how to look at the parameters. */
  readonly command?: string | undefined;
}

export interface RunOutput {
  /** The report. */
  readonly out: { write(text: string): unknown };
  /** Progress, and what happens meanwhile. */
  readonly err: ProgressOutput;
}

/** The exit code of a run that the user ended with Ctrl-C. */
export const INTERRUPTED = 130;

/**
 * Trains the model, or goes on where an earlier run was ended, and reports. Gives an exit code: 0, or `INTERRUPTED`
 * after SIGINT or SIGTERM: then the batch at hand is finished and a checkpoint made.
 */
export async function run(options: RunOptions, { out, err }: RunOutput): Promise<number> {
  const { epochs = EPOCHS, seed = SEED, fresh = false, json = false } = options;
  checkRange("epochs", epochs, 1, MOST_EPOCHS);
  checkRange("seed", seed, 0, 0xffff_ffff);
  const dataset = options.path === undefined ? generateData(seed) : await readMovieLens(options.path);
  const task: Task = { dataset, ...splitRatings(dataset.ratings.stars.length, seed) };
  const dir = options.dir ?? join("out", options.path === undefined ? "movielens-generated" : "movielens");
  const directory = join(dir, "model");
  const chart = join(dir, "learning-curve.svg");
  err.write(introduction(task));
  await mkdir(dir, { recursive: true });
  if (fresh) await removeStore(directory);

  const interruption = new AbortController();
  const interrupt = () => interruption.abort();
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const display = progressDisplay(err, epochs, () => performance.now());
  const startMs = performance.now();
  const store = await openStore(directory);
  try {
    const result = await train(store, task, {
      settings: SETTINGS,
      epochs,
      seed,
      signal: interruption.signal,
      onStart(progress) {
        err.write(beginning(progress, epochs));
        display.start(progress);
      },
      onStep: display.step,
      onEpoch: display.epoch,
    });
    display.end();
    await store.checkpoint();
    const seconds = (performance.now() - startMs) / 1000;
    const report: Report = reportOf(task, result, { seed, seconds, store: directory, chart });
    if (report.curve.length > 0) await writeFile(chart, learningCurve(report));
    if (json) out.write(`${JSON.stringify(report)}\n`);
    if (!result.finished) {
      err.write(
        `interrupted after ${result.steps} steps; nothing is lost: the same command goes on from here\n`,
      );
      return INTERRUPTED;
    }
    if (!json) out.write(reportText(report, options.command));
    return 0;
  } catch (error) {
    // The error is told below the bar, not beside it.
    display.end();
    throw error;
  } finally {
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt);
    await store.close();
  }
}

function checkRange(name: string, value: number, least: number, most: number): void {
  if (Number.isInteger(value) && value >= least && value <= most) return;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `--${name}: found ${value}, expected a whole number from ${least} to ${most}`,
  );
}

function introduction({ dataset, train, heldOut }: Task): string {
  const { name, users, items, ratings } = dataset;
  return (
    `${name}: ${users.length} users, ${items.length} items, ${ratings.stars.length} ratings ` +
    `(${train.length} to learn from, ${heldOut.length} held out)\n`
  );
}

/** Where a run that was begun before is; nothing for a new one. */
function beginning({ position: { epoch, batch }, batches }: Progress, epochs: number): string {
  if (epoch + batch === 0) return "";
  if (epoch * batches + batch < epochs * batches) {
    return `going on after epoch ${epoch}, batch ${batch} of ${batches}\n`;
  }
  return "this run was finished before: more --epochs go on, --fresh starts over\n";
}

/** Removes a store that no process has open. Nothing else is removed: what is not a store is an error. */
async function removeStore(directory: string): Promise<void> {
  try {
    await access(directory);
  } catch {
    // There is nothing to remove.
    return;
  }
  try {
    const store = await openStore(directory, { create: false, checkpoint: false, control: false });
    await store.close();
  } catch (error) {
    // A damaged store is one that `--fresh` is for.
    if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
  }
  await rm(directory, { recursive: true });
}
