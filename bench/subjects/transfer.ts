// A store with a filled table, which exports it to safetensors, imports that file into a new store, and copies it with `cp`.
import { execFileSync } from "node:child_process";
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { adagrad, exportTable, importTable, openStore, uniform } from "../../lib/index.js";
import { nanoseconds, serveLines, settingsOf } from "./line-server.js";
import { gradientsOf, LEARNING_RATE } from "./rows-settings.js";

interface TransferSettings {
  readonly directory: string;
  readonly rows: number;
  readonly batch: number;
}

const { directory, rows, batch } = settingsOf<TransferSettings>();
const dim = 64;
const file = join(directory, "rows.safetensors");
const settings = { control: false, checkpoint: false } as const;

const store = await openStore(directory, settings);
const optimizer = adagrad({ learningRate: LEARNING_RATE });
const table = await store.table("t", { dim, optimizer, initializer: uniform(-0.1, 0.1), logged: false });
for (let first = 0; first < rows; first += batch) {
  const n = Math.min(batch, rows - first);
  const keys = BigUint64Array.from({ length: n }, (_, i) =>
    BigInt.asUintN(64, BigInt(first + i + 1) * 0x9e37_79b9_7f4a_7c15n),
  );
  await table.push(keys, gradientsOf(n * dim));
}
await exportTable(store, "t", file, { state: true, sync: false });

async function once(operation: string): Promise<number> {
  const target = join(directory, "target.safetensors");
  if (operation === "import") {
    const other = await openStore(join(directory, "other"), settings);
    const start = nanoseconds();
    await importTable(other, "t", file, {
      table: { dim, optimizer, initializer: uniform(-0.1, 0.1) },
    });
    const ns = nanoseconds() - start;
    await other.close();
    rmSync(join(directory, "other"), { recursive: true });
    return ns;
  }
  const start = nanoseconds();
  if (operation === "cp") execFileSync("cp", [file, target]);
  else await exportTable(store, "t", target, { state: true, sync: false });
  const ns = nanoseconds() - start;
  rmSync(target);
  return ns;
}

await serveLines({}, async ([operation]) => ({ ns: await once(operation), bytes: statSync(file).size }));
