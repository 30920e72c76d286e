import { target } from "../figure.js";
import { ratioOf } from "../race.js";
import type { Suite } from "../suite.js";
import { startStore } from "./rows-subjects.js";

export const creation: Suite = {
  name: "creation",
  about: "pushing to rows that do not exist yet, against pushing to rows that do",
  async run(context) {
    const { rows, batch, rounds, roundMs } = context.options;
    const perRound = Math.floor(rows / 2 / (rounds + 1));
    const store = await startStore(context, "Embershard", { rows: rows - perRound * (rounds + 1) });
    const created: number[] = [];
    const pushed: number[] = [];
    for (let round = 0; round <= rounds; round++) {
      const createdRate = await store.rate("create", perRound, batch);
      const pushedRate = await store.rate("push", "uniform", roundMs);
      if (round === 0) continue;
      created.push(createdRate);
      pushed.push(pushedRate);
    }
    await store.stop();
    return [target("creation-64", ratioOf(created, pushed), { peerName: "existing rows" })];
  },
};
