/** What each figure must reach and what it should; one entry for each figure of the project's table. */
export const TARGETS = {
  "pull-64": { unit: "rows/s", better: "higher", must: 0.45, goal: 0.55 },
  "pull-16": { unit: "rows/s", better: "higher", must: 0.4, goal: 0.5 },
  "push-64": { unit: "rows/s", better: "higher", must: 0.35, goal: 0.45 },
  "push-16": { unit: "rows/s", better: "higher", must: 0.35, goal: 0.45 },
  "pull-64-over-fbgemm": { unit: "rows/s", better: "higher", must: 0.6, goal: 0.8 },
  "push-64-over-pytorch": { unit: "rows/s", better: "higher", must: 4.5, goal: 6 },
  "push-os-over-memory": { unit: "rows/s", better: "higher", must: 0.25, goal: 0.5 },
  "resident-64": { unit: "bytes", better: "lower", must: 1.2, goal: 1.1 },
  "resident-16": { unit: "bytes", better: "lower", must: 1.45, goal: 1.35 },
  "recovery-16": { unit: "bytes/s", better: "higher", must: 0.5, goal: 0.8 },
  verify: { unit: "bytes/s", better: "higher", must: 0.3, goal: 0.6 },
  "creation-64": { unit: "rows/s", better: "higher", must: 0.3, goal: 0.5 },
  "checkpoint-pause": { unit: "ms", better: "lower", must: 25, goal: 10 },
  "checkpoint-throughput": { unit: "rows/s", better: "higher", must: 0.6, goal: 0.75 },
  "checkpoint-resident": { unit: "bytes", better: "lower", must: 1.25, goal: 1.1 },
  "pull-64-f16": { unit: "rows/s", better: "higher", must: 0.6, goal: 0.9 },
  "pull-64-int8": { unit: "rows/s", better: "higher", must: 0.6, goal: 0.9 },
  "resident-64-f16": { unit: "bytes", better: "lower", must: 0.33, goal: null },
  "resident-64-int8": { unit: "bytes", better: "lower", must: 0.22, goal: null },
  "export-64": { unit: "bytes/s", better: "higher", must: 0.3, goal: 0.6 },
  "import-64": { unit: "bytes/s", better: "higher", must: 0.3, goal: 0.6 },
  "push-evicting-64": { unit: "rows/s", better: "higher", must: 0.5, goal: 0.75 },
  "push-admission": { unit: "rows/s", better: "higher", must: 0.8, goal: 0.95 },
  "growth-pause": { unit: "ms", better: "lower", must: 20, goal: 10 },
} as const;

export type TargetName = keyof typeof TARGETS;
