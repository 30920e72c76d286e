import { shown, target } from "../figure.js";
import type { Suite, SuiteContext } from "../suite.js";
import { startStore } from "./rows-subjects.js";

/** Small pushes, so that their own work is not taken for a pause. */
const PUSH_ROWS = 1024;

export const growth: Suite = {
  name: "growth",
  about: `the longest of the pushes of ${PUSH_ROWS} new rows while a table grows from nothing`,
  run: async (context) => {
    // A hypervisor takes memory away that has been free for a while, and finds it again one page after the other.
    const before = await longestPush(context, 64);
    const at64 = await longestPush(context, 64);
    const at16 = await longestPush(context, 16);
    return [
      target("growth-pause", at64.ms, {
        note: `dim 64; ${at64.note}; of a table before it, when the system finds its memory, ${before.ms.toFixed(1)} ms`,
      }),
      shown("growth-pause-16", at16.ms, { unit: "ms", better: "lower", note: at16.note }),
    ];
  },
};

async function longestPush(context: SuiteContext, dim: number): Promise<{ ms: number; note: string }> {
  const store = await startStore(context, "Embershard", { dim, rows: 0 });
  const { longestNs, longestOwnNs } = await store.ask("create", context.options.rows, PUSH_ROWS);
  await store.stop();
  const ownMs = (Number(longestOwnNs) / 1e6).toFixed(1);
  return {
    ms: Number(longestNs) / 1e6,
    note: `${ownMs} ms without the time that pushes waited for a processor`,
  };
}
