import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openStore } from "../../lib/index.js";
import { survivalLaws } from "../laws/table-laws.js";

const options = { threads: 2, arenaBytes: 32 << 20, hugePages: "off", checkpoint: false } as const;

survivalLaws("two threads", async () => {
  const directory = await mkdtemp(join(tmpdir(), "embershard-spec-"));
  let store = await openStore(directory, options);
  return {
    store,
    abortsForSure: false,
    async reopen() {
      await store.close();
      store = await openStore(directory, options);
      return store;
    },
    async end() {
      await store.close();
      await rm(directory, { recursive: true, force: true });
    },
  };
});
