import { target } from "../figure.js";
import { ratioOf } from "../race.js";
import { Subject } from "../subject.js";
import type { Suite } from "../suite.js";
import { startStore } from "./rows-subjects.js";

export const verify: Suite = {
  name: "verify",
  about: "verifying a checkpointed store, against cat of its files",
  async run(context) {
    const directory = context.workspace.path("verify");
    const store = await startStore(context, "Embershard", { dim: 16, level: "os", directory });
    await store.ask("checkpoint");
    await store.stop();
    const subject = await Subject.startNode(context.workspace, "verify", "verification", { directory });
    const verified: number[] = [];
    const read: number[] = [];
    for (let round = 0; round <= (context.options.quick ? 2 : 5); round++) {
      const cat = await subject.ask("cat");
      const found = await subject.ask("verify");
      // The first round brings the files into the page cache.
      if (round === 0) continue;
      verified.push((Number(found.bytes) / Number(found.ns)) * 1e9);
      read.push((Number(cat.bytes) / Number(cat.ns)) * 1e9);
    }
    await subject.stop();
    return [target("verify", ratioOf(verified, read), { peerName: "cat", note: "files in the page cache" })];
  },
};
