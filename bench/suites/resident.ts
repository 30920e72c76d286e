import { type Figure, once, target } from "../figure.js";
import type { Suite, SuiteContext } from "../suite.js";
import type { TargetName } from "../targets.js";
import { startStore } from "./rows-subjects.js";

export const resident: Suite = {
  name: "resident",
  about: "resident bytes of the process, over the bytes of weights and state",
  run: async (context) => [
    await measure(context, "resident-64", 64),
    await measure(context, "resident-16", 16),
  ],
};

/** What opening the store and filling the table added to a process that had loaded the library. */
async function measure(context: SuiteContext, name: TargetName, dim: number): Promise<Figure> {
  const store = await startStore(context, "Embershard", { dim });
  const { bytes, emptyBytes } = await store.ask("resident");
  await store.stop();
  const valueBytes = context.options.rows * 2 * dim * 4;
  return target(name, once(Number(bytes) - Number(emptyBytes), valueBytes), {
    peerName: "weights and state",
    note: `the process before: ${Math.round(Number(emptyBytes) / 1e6)} MB`,
  });
}
