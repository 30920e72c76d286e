// A page that nothing makes up for: whose it was, and which rows are gone, is said.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { backupStore, openStore, repairStore, restoreStore, sgd, verifyStore } from "../../lib/index.js";
import { runHere } from "../cli/run-command.js";
import { quietly } from "./lived-store.js";

const home = mkdtempSync(join(tmpdir(), "embershard-lost-pages-"));
const whole = join(home, "whole");
const dim = 28;
const recordBytes = 16 + 4 * dim;
const keys = BigUint64Array.from({ length: 1500 }, (_, i) => BigInt(7 * i));
const words = BigUint64Array.from({ length: 40 }, (_, i) => BigInt(1000 + i));

const test = suite("lost pages");

// What was backed up comes back without the log from which its pages could be made again.
test.before(async () => {
  const lived = join(home, "lived");
  const store = await openStore(lived, quietly);
  const items = await store.table("items", { dim, optimizer: sgd({ learningRate: 1 }) });
  await items.push(keys, new Float32Array(keys.length * dim).fill(1));
  const seen = await store.table("seen", {
    dim: 1,
    optimizer: sgd({ learningRate: 1 }),
    admission: { after: 2 },
  });
  await seen.push(words, new Float32Array(words.length));
  await store.checkpoint({ version: "first" });
  await items.push(keys.subarray(0, 1), new Float32Array(dim));
  await store.checkpoint();
  await store.close();
  await backupStore(lived, join(home, "backups"));
  await restoreStore(join(home, "backups"), whole);
  // LevelDB writes its table files when it is opened again.
  await (await openStore(whole, quietly)).close();
});

test.after(() => rmSync(home, { recursive: true }));

interface Image {
  readonly at: number;
  readonly generation: number;
  readonly recordBytes: number;
  readonly places: number;
  readonly firstKey: bigint;
}

/** Changes the image, of those that `wanted` takes, that lies first in a table file of a copy. */
function damaged(
  name: string,
  wanted: (image: Image) => boolean,
  change: (bytes: Buffer, image: Image) => void,
): string {
  const directory = join(home, name);
  cpSync(whole, directory, { recursive: true });
  const folder = join(directory, "shards", "0000", "pages");
  for (const file of readdirSync(folder).filter((one) => one.endsWith(".ldb"))) {
    const bytes = readFileSync(join(folder, file));
    for (let at = bytes.indexOf("EPG1"); at >= 0; at = bytes.indexOf("EPG1", at + 4)) {
      const image: Image = {
        at,
        generation: bytes.readUInt32LE(at + 12),
        recordBytes: bytes.readUInt32LE(at + 20),
        places: bytes.readUInt32LE(at + 24),
        firstKey: bytes.readBigUInt64LE(at + 64),
      };
      if (!wanted(image)) continue;
      change(bytes, image);
      writeFileSync(join(folder, file), bytes);
      return directory;
    }
  }
  throw new Error("there is no such image");
}

async function gone(directory: string): Promise<string[]> {
  const store = await openStore(directory, quietly);
  try {
    const found = await (await store.table("items")).contains(keys);
    return [...keys].filter((_, i) => found[i] === 0).map(String);
  } finally {
    await store.close();
  }
}

test("its table and keys are those that the damaged image tells", async () => {
  const weight = (bytes: Buffer, { at }: Image) => bytes.writeUInt8(bytes[at + 64 + 16] ^ 1, at + 64 + 16);
  const directory = damaged(
    "weight",
    (image) => image.recordBytes === recordBytes && image.firstKey !== 0n,
    weight,
  );
  const { findings } = await verifyStore(directory);
  const pages = findings.filter(({ what }) => what?.startsWith("page "));
  assert.ok(pages.length > 0);
  for (const { affects } of pages) {
    assert.equal(affects.tables, ["items"]);
    assert.ok(affects.rows! > 400 && affects.rows! <= 1024, String(affects.rows));
  }
  const refused = await repairStore(directory);
  const { losses } = await repairStore(directory, { acceptLoss: true });
  assert.equal(losses, refused.losses);
  const [page] = losses.filter(({ kind }) => kind === "page");
  assert.equal(page.tables, ["items"]);
  const lost = await gone(directory);
  assert.ok(lost.length > 400);
  assert.equal(page.keys, lost);
  assert.is(page.rows, lost.length);
});

test("where its header is damaged, too, an older image tells", async () => {
  const directory = damaged(
    "header",
    (image) => image.recordBytes === recordBytes && image.generation > 1,
    (bytes, { at }) => bytes.fill(0, at, at + 64),
  );
  const { losses } = await repairStore(directory, { acceptLoss: true });
  assert.equal(
    losses.map(({ kind }) => kind),
    ["page"],
  );
  const [page] = losses;
  assert.equal(page.tables, ["items"]);
  assert.equal(page.keys, await gone(directory));
});

test("candidates are said to be candidates, by the command, too", async () => {
  const directory = damaged(
    "candidates",
    (image) => image.recordBytes === 16,
    (bytes, { at }) => bytes.writeUInt8(9, at + 64 + 12),
  );
  const { code, out } = await runHere(["repair", directory]);
  assert.is(code, 3);
  assert.match(out, /the candidates of page \d+ of arena 0 of table "seen" are gone/);
  assert.match(out, "rows: 40 at most\n  keys among them: 1000, 1001,");
});

test.run();
