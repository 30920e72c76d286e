import type { StoryReport } from "./story.js";

/** The report for people. */
export function reportText(report: StoryReport): string {
  const { rmse, auc, single, counted, batches, workers, nodes, downMs, retries, repeated, dir } = report;
  const number = (value: number) => String(value).replace(/\B(?=(\d{3})+$)/g, ",");
  return [
    `held-out RMSE ${rmse.toFixed(4)}, AUC of "4 stars or more" ${auc.toFixed(4)}`,
    `one process   ${single.rmse.toFixed(4)},                         ${single.auc.toFixed(4)}`,
    `${number(batches)} batches by ${workers} workers on ${nodes} nodes in ${report.seconds.toFixed(1)} s; one node killed, and away for ${(downMs / 1000).toFixed(1)} s`,
    `${number(retries)} requests sent again; ${number(repeated)} of them had been applied, and were answered only`,
    `${number(counted.rows)} rows count ${number(counted.pushes)} pushes of keys: lost ${counted.lost}, doubled ${counted.doubled}`,
    ...(dir === undefined ? [] : [`look inside   embershard inspect ${dir}/a`]),
    "",
  ].join("\n");
}
