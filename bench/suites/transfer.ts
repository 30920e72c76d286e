import { target } from "../figure.js";
import { type Rates, ratioOf } from "../race.js";
import { Subject } from "../subject.js";
import type { Suite } from "../suite.js";

const OPERATIONS = ["cp", "export", "import"] as const;

export const transfer: Suite = {
  name: "transfer",
  about: "export to safetensors and import, against cp of the same file",
  async run({ workspace, options }) {
    const rows = Math.max(1000, options.rows >> 2);
    const settings = { directory: workspace.path("transfer"), rows, batch: options.batch };
    const subject = await Subject.startNode(workspace, "Embershard", "transfer", settings);
    const rates: Record<(typeof OPERATIONS)[number], number[]> = { cp: [], export: [], import: [] };
    for (let round = 0; round <= (options.quick ? 2 : 5); round++) {
      for (const operation of OPERATIONS) {
        const { bytes, ns } = await subject.ask(operation);
        // The first round compiles, and lets the system find the memory that files lie in.
        if (round > 0) rates[operation].push((Number(bytes) / Number(ns)) * 1e9);
      }
    }
    await subject.stop();
    const cp: Rates = rates.cp;
    const note = `${rows.toLocaleString("en")} rows of dim 64 with Adagrad's state`;
    return [
      target("export-64", ratioOf(rates.export, cp), { peerName: "cp", note }),
      target("import-64", ratioOf(rates.import, cp), { peerName: "cp", note }),
    ];
  },
};
