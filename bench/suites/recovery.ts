import { join } from "node:path";
import { shown, target } from "../figure.js";
import { ratioOf } from "../race.js";
import { Subject } from "../subject.js";
import type { Reply } from "../subjects/line-server.js";
import type { Suite } from "../suite.js";
import { startStore } from "./rows-subjects.js";

export const recovery: Suite = {
  name: "recovery",
  about: "opening a checkpointed store, against LevelDB's own iteration of the same pages",
  async run(context) {
    const directory = context.workspace.path("recovery");
    const store = await startStore(context, "Embershard", { dim: 16, level: "os", directory });
    await store.ask("checkpoint");
    await store.stop();

    const settings = { directory, pagesDirectory: join(directory, "shards", "0000", "pages") };
    const once = async (operation: string, hugePages = "off"): Promise<Reply> => {
      const subject = await Subject.startNode(context.workspace, operation, "recovery", {
        ...settings,
        hugePages,
      });
      const reply = await subject.ask(operation);
      await subject.stop();
      return reply;
    };
    const opened: number[] = [];
    const openedHuge: number[] = [];
    const iterated: number[] = [];
    for (let round = 0; round <= (context.options.quick ? 2 : 5); round++) {
      const iterate = await once("iterate");
      const open = await once("open");
      const openHuge = await once("open", "auto");
      // The first round brings the files into the page cache.
      if (round === 0) continue;
      const bytes = Number(iterate.bytes);
      iterated.push((bytes / Number(iterate.ns)) * 1e9);
      opened.push((bytes / Number(open.ns)) * 1e9);
      openedHuge.push((bytes / Number(openHuge.ns)) * 1e9);
    }
    const peerName = "LevelDB iteration";
    return [
      target("recovery-16", ratioOf(opened, iterated), { peerName }),
      shown("recovery-16-huge-pages", ratioOf(openedHuge, iterated), { unit: "bytes/s", peerName }),
    ];
  },
};
