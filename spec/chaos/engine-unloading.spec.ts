import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { openStore } from "../../lib/index.js";

// Node unloads a native addon with the last thread that loaded it, while LevelDB's own thread may still be in its code:
// one close in a hundred ended in a segmentation fault.
test("the engine's code stays loaded when a store is closed", async () => {
  if (process.platform !== "linux") return console.log("left out: only Linux tells what is loaded");
  const directory = mkdtempSync(join(tmpdir(), "embershard-unloading-"));
  const store = await openStore(directory, { control: false });
  assert.match(readFileSync("/proc/self/maps", "utf8"), /classic-level.*\.node/);
  await store.close();
  assert.match(readFileSync("/proc/self/maps", "utf8"), /classic-level.*\.node/);
  rmSync(directory, { recursive: true });
});

test.run();
