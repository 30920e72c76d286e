import { type Figure, once, shown, target } from "../figure.js";
import { race, ratioOf } from "../race.js";
import type { Stored } from "../subjects/rows-settings.js";
import type { Suite, SuiteContext } from "../suite.js";
import { startStore } from "./rows-subjects.js";

const DIM = 64;
const PLAIN = "f32";

export const storage: Suite = {
  name: "storage",
  about: "rows stored as f16, bf16 and int8, against float32",
  run: async (context) => [...(await raceStorages(context)), ...(await compareResident(context))],
};

/** Pulls and pushes of tables that differ in what their weights are stored as, with Adagrad's state in float32. */
async function raceStorages(context: SuiteContext): Promise<Figure[]> {
  const { rounds, roundMs } = context.options;
  const ways: readonly [string, Stored][] = [
    [PLAIN, {}],
    ["f16", { storage: "f16" }],
    ["bf16", { storage: "bf16" }],
    ["int8", { storage: "int8" }],
    ["f16, state bf16, stochastic", { storage: "f16", stateStorage: "bf16", rounding: "stochastic" }],
  ];
  const started = await Promise.all(
    ways.map(([name, stored]) => startStore(context, name, { dim: DIM, stored })),
  );
  const pulls = await race(started, ["pull", "uniform", roundMs], rounds);
  const pushes = await race(started, ["push", "uniform", roundMs], Math.ceil(rounds / 2));
  await Promise.all(started.map((subject) => subject.stop()));
  const peerName = PLAIN;
  return ways.slice(1).flatMap(([name]) => {
    const pull = ratioOf(pulls.get(name)!, pulls.get(PLAIN)!);
    const push = ratioOf(pushes.get(name)!, pushes.get(PLAIN)!);
    const pulled =
      name === "f16" || name === "int8"
        ? target(`pull-64-${name}`, pull, { peerName })
        : shown(`pull-64-${name}`, pull, { unit: "rows/s", peerName });
    return [pulled, shown(`push-64-${name}`, push, { unit: "rows/s", peerName })];
  });
}

/** What a table adds to a process: narrow weights and one accumulator a row, over float32 and an accumulator an element. */
async function compareResident(context: SuiteContext): Promise<Figure[]> {
  const plain = await residentOf(context, {});
  const peerName = "f32 with Adagrad";
  const figures: Figure[] = [];
  for (const name of ["f16", "int8"] as const) {
    const bytes = await residentOf(context, { optimizer: "rowWiseAdagrad", storage: name });
    figures.push(
      target(`resident-64-${name}`, once(bytes, plain), { peerName, note: "with row-wise Adagrad" }),
    );
  }
  return figures;
}

async function residentOf(context: SuiteContext, stored: Stored): Promise<number> {
  const store = await startStore(context, "Embershard", { dim: DIM, stored });
  const { bytes, emptyBytes } = await store.ask("resident");
  await store.stop();
  return Number(bytes) - Number(emptyBytes);
}
