import { target } from "../figure.js";
import { ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { Suite } from "../suite.js";
import { startStore } from "./rows-subjects.js";

/** Dimension 16: at 64 the pages and the log of one run would not fit the disk that the bench may use. */
const DIM = 16;

export const level: Suite = {
  name: "level",
  about: "pushing at level os, sustained across automatic checkpoints, against level memory",
  async run(context) {
    const { quick, roundMs } = context.options;
    const os = await startStore(context, "level os", { dim: DIM, level: "os" });
    const memory = await startStore(context, "level memory", { dim: DIM });
    const rates = { os: [] as number[], memory: [] as number[] };
    let checkpoints = 0;
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      const sustained = await os.ask("sustain", 50 * roundMs, (quick ? 150 : 300) * roundMs, quick ? 1 : 2);
      checkpoints += Number(sustained.checkpoints);
      rates.os.push((Number(sustained.rows) / Number(sustained.ns)) * 1e9);
      rates.memory.push(await memory.rate("sustain", 15 * roundMs, 15 * roundMs, 0));
    }
    await Promise.all([os, memory].map((subject: Subject) => subject.stop()));
    return [
      target("push-os-over-memory", ratioOf(rates.os, rates.memory), {
        peerName: "level memory",
        note: `dim ${DIM}, ${checkpoints} automatic checkpoints during ${rates.os.length} runs`,
        counts: checkpoints > 0,
      }),
    ];
  },
};
