import { lineChart } from "../plot/line-chart.js";
import type { Task, TrainingResult } from "./training.js";

/** What a run tells its caller; `--json` prints it. */
export interface Report {
  readonly data: string;
  readonly ratings: { readonly train: number; readonly heldOut: number };
  readonly finished: boolean;
  readonly epochs: number;
  readonly seed: number;
  /** Steps made by this process. */
  readonly steps: number;
  readonly seconds: number;
  readonly rmse: number;
  readonly auc: number;
  readonly curve: readonly { readonly epoch: number; readonly training: number; readonly heldOut: number }[];
  /** Paths. */
  readonly store: string;
  readonly chart: string;
}

export function reportOf(
  task: Task,
  result: TrainingResult,
  facts: Pick<Report, "seed" | "seconds" | "store" | "chart">,
): Report {
  return {
    data: task.dataset.name,
    ratings: { train: task.train.length, heldOut: task.heldOut.length },
    finished: result.finished,
    epochs: result.curve.length,
    steps: result.steps,
    rmse: result.heldOut.rmse,
    auc: result.heldOut.auc,
    curve: result.curve.map(([training, heldOut], i) => ({ epoch: i + 1, training, heldOut })),
    ...facts,
  };
}

/** The report for people. `command` is how they call the command line. */
export function reportText(report: Report, command?: string): string {
  const past =
    report.steps === 0 ? "was trained before" : `${report.seconds.toFixed(1)} s, ${report.steps} steps`;
  return [
    `held-out RMSE ${report.rmse.toFixed(4)}, AUC of "4 stars or more" ${report.auc.toFixed(4)}`,
    `${report.epochs} epochs (${past})`,
    `learning curve  ${report.chart}`,
    `parameters      ${report.store}`,
    ...(command === undefined ? [] : [`look inside     ${command} inspect ${report.store}`]),
    "",
  ].join("\n");
}

/** The learning curve as an SVG document. */
export function learningCurve(report: Report): string {
  const points = (part: "training" | "heldOut") =>
    report.curve.map((at): [number, number] => [at.epoch, at[part]]);
  return lineChart({
    title: `Factorization machine, ${report.data}`,
    x: { label: "epoch" },
    y: { label: "RMSE, stars" },
    series: [
      { name: "training", points: points("training") },
      { name: "held out", points: points("heldOut") },
    ],
  });
}
