// What a version costs on the disk after a part of a table's rows has changed uniformly, against the ideal: the changed rows
// and nothing else. `node dist/bench/version-cost.js [dim] [rows] [part]`; docs/versions.md has the figures.
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Prng } from "../lib/base/prng.js";
import { adagrad, openStore } from "../lib/index.js";

const [dim = 16, rows = 4_000_000, part = 0.01] = process.argv.slice(2).map(Number);
const batchRows = 16_384;
const directory = mkdtempSync(join(tmpdir(), "embershard-version-cost-"));
try {
  const store = await openStore(directory, { control: false, checkpoint: false });
  const table = await store.table("t", { dim, optimizer: adagrad({ learningRate: 0.1 }), logged: false });
  const gradients = new Float32Array(batchRows * dim).fill(0.5);
  for (let from = 0; from < rows; from += batchRows) {
    const n = Math.min(batchRows, rows - from);
    const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(from + i));
    await table.push(keys, gradients.subarray(0, n * dim));
  }
  const first = await store.checkpoint({ version: "before" });
  const before = pageBytes();
  const random = new Prng(1);
  const changed = new Set<number>();
  while (changed.size < rows * part) changed.add(random.below(rows));
  const all = [...changed];
  for (let from = 0; from < all.length; from += batchRows) {
    const keys = BigUint64Array.from(all.slice(from, from + batchRows), BigInt);
    await table.push(keys, gradients.subarray(0, keys.length * dim));
  }
  const second = await store.checkpoint({ version: "after" });
  const [version] = await store.versions();
  const recordBytes = 16 + 8 * dim;
  const pageRows = Math.floor(131_072 / recordBytes);
  const idealBytes = changed.size * recordBytes;
  const report = {
    dim,
    rows,
    changedRows: changed.size,
    pages: first.pages,
    changedPages: second.pages,
    expectedShareOfPages: 1 - (1 - part) ** pageRows,
    versionBytes: version.bytes,
    ownBytes: version.ownBytes,
    diskGrowthBytes: pageBytes() - before,
    idealBytes,
    overIdeal: version.ownBytes / idealBytes,
    milliseconds: { first: first.milliseconds, second: second.milliseconds },
  };
  process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
  await store.close();
} finally {
  rmSync(directory, { recursive: true, force: true });
}

/** Bytes of the files of the page store. */
function pageBytes(): number {
  const pages = join(directory, "shards", "0000", "pages");
  return readdirSync(pages).reduce((sum, name) => sum + statSync(join(pages, name)).size, 0);
}
