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
    for (let round = 0; round <= (options.quick ? 2 : 7); round++) {
      for (const operation of OPERATIONS) {
        // Again, to find the memory that it left: what another one left is more or less. A hypervisor that takes memory away
        // every few seconds slows one of two; the faster counts, of each operation.
        await subject.ask(operation);
        const again = [await subject.ask(operation), await subject.ask(operation)];
        const rate = Math.max(...again.map(({ bytes, ns }) => (Number(bytes) / Number(ns)) * 1e9));
        if (round > 0) rates[operation].push(rate);
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
