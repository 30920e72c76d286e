import { type Figure, shown, target } from "../figure.js";
import type { Suite, SuiteContext } from "../suite.js";
import { startStore } from "./rows-subjects.js";

/** Small pushes, so that their own work is not taken for a pause. */
const PUSH_ROWS = 1024;

export const growth: Suite = {
  name: "growth",
  about: `the longest of the pushes of ${PUSH_ROWS} new rows while a table grows from nothing`,
  run: async (context) => {
    const at64 = await longestPushMs(context, 64);
    const at16 = await longestPushMs(context, 16);
    return [
      target("growth-pause", at64, { note: `pushes of ${PUSH_ROWS} new rows, dim 64` }),
      shown("growth-pause-16", at16, { unit: "ms", better: "lower" }) satisfies Figure,
    ];
  },
};

async function longestPushMs(context: SuiteContext, dim: number): Promise<number> {
  const store = await startStore(context, "Embershard", { dim, rows: 0 });
  const { longestNs } = await store.ask("create", context.options.rows, PUSH_ROWS);
  await store.stop();
  return Number(longestNs) / 1e6;
}
