// Chooses the settings: trains with each candidate on nine tenths of the training part and judges by the other tenth.
// The test part of no seed is looked at. Usage: node dist/examples/movielens/tuning.js PATH [SEED...]
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../lib/index.js";
import { type Dataset, readMovieLens, splitRatings, splitTraining } from "./data.js";
import { EPOCHS, SETTINGS, type Settings } from "./settings.js";
import { train } from "./training.js";

/** Each differs from the settings in what is named. */
const CANDIDATES: readonly Partial<Settings>[] = [
  {},
  { factorDecay: 0.05 },
  { factorDecay: 0.08 },
  { factorDecay: 0.12 },
  { factorDecay: 0.15 },
  { weightDecay: 0 },
  { weightDecay: 0.05 },
  { learningRate: 0.03 },
  { learningRate: 0.1 },
  { rank: 8 },
  { rank: 32 },
  { spread: 0.02 },
  { batchSize: 128 },
  { batchSize: 512 },
];

interface Trial {
  /** Of the validation part, after the last epoch. */
  readonly rmse: number;
  readonly best: { readonly rmse: number; readonly epoch: number };
}

async function trial(dataset: Dataset, settings: Settings, seed: number): Promise<Trial> {
  const directory = await mkdtemp(join(tmpdir(), "movielens-tuning-"));
  try {
    const store = await openStore(directory, { checkpoint: false, control: false });
    try {
      const { train: all } = splitRatings(dataset.ratings.stars.length, seed);
      const task = { dataset, ...splitTraining(all, seed) };
      const { heldOut, curve } = await train(store, task, { settings, epochs: EPOCHS, seed });
      const validation = curve.map(([, held]) => held);
      const best = Math.min(...validation);
      return { rmse: heldOut.rmse, best: { rmse: best, epoch: validation.indexOf(best) + 1 } };
    } finally {
      await store.close();
    }
  } finally {
    await rm(directory, { recursive: true });
  }
}

const [path, ...seedTexts] = process.argv.slice(2);
if (path === undefined) {
  process.stderr.write("usage: node dist/examples/movielens/tuning.js PATH [SEED...]\n");
  process.exit(2);
}
const seeds = seedTexts.length > 0 ? seedTexts.map(Number) : [1, 2, 3];
const dataset = await readMovieLens(path);
process.stdout.write(
  `| settings | ${seeds.map((seed) => `seed ${seed}`).join(" | ")} | mean | best epoch |\n`,
);
process.stdout.write(`|---|${seeds.map(() => "---:|").join("")}---:|---|\n`);
for (const candidate of CANDIDATES) {
  const trials: Trial[] = [];
  for (const seed of seeds) trials.push(await trial(dataset, { ...SETTINGS, ...candidate }, seed));
  const mean = trials.reduce((sum, { rmse }) => sum + rmse, 0) / trials.length;
  const name = Object.entries(candidate).map(([key, value]) => `${key} ${value}`);
  const cells = [
    name.join(", ") || "as chosen",
    ...trials.map(({ rmse }) => rmse.toFixed(4)),
    mean.toFixed(4),
  ];
  process.stdout.write(`| ${cells.join(" | ")} | ${trials.map(({ best }) => best.epoch).join(", ")} |\n`);
}
