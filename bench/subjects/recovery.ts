// Opens a closed store, or only iterates the LevelDB of its pages with the `level` package: one of the two, once, in a
// process of its own. Both find the files in the page cache.
import { Level } from "level";
import { openStore } from "../../lib/index.js";
import { nanoseconds, serveLines, settingsOf } from "./line-server.js";

interface RecoverySettings {
  readonly directory: string;
  readonly pagesDirectory: string;
  readonly hugePages: "auto" | "off";
}

const { directory, pagesDirectory, hugePages } = settingsOf<RecoverySettings>();

await serveLines({}, async ([operation]) => {
  if (operation === "open") {
    const start = nanoseconds();
    const store = await openStore(directory, { create: false, control: false, checkpoint: false, hugePages });
    const ns = nanoseconds() - start;
    const rows = (await store.tables()).length;
    await store.close();
    return { ns, tables: rows };
  }
  const level = new Level<Uint8Array, Uint8Array>(pagesDirectory, {
    keyEncoding: "view",
    valueEncoding: "view",
    createIfMissing: false,
    compression: false,
  });
  await level.open();
  // The peer is its iteration alone; what opening it takes is not held against us.
  const start = nanoseconds();
  const iterator = level.iterator({ fillCache: false, highWaterMarkBytes: 4 << 20 });
  let bytes = 0;
  for (;;) {
    const entries = await iterator.nextv(1000);
    if (entries.length === 0) break;
    for (const [, value] of entries) bytes += value.byteLength;
  }
  const ns = nanoseconds() - start;
  await iterator.close();
  await level.close();
  return { ns, bytes };
});
