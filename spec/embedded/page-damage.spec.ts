// A byte of LevelDB's table files changes while the store is closed: it is opened with every row as it was, or not at all.
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { adagrad, EmbershardError, openStore } from "../../lib/index.js";

const root = mkdtempSync(join(tmpdir(), "embershard-page-damage-"));
const sound = join(root, "sound");
const options = { control: false, checkpoint: false, hugePages: "off" } as const;
const keys = BigUint64Array.from({ length: 9000 }, (_, i) => BigInt(i));
let rows: Float32Array;

test.before(async () => {
  const store = await openStore(sound, options);
  const table = await store.table("rows", { dim: 16, optimizer: adagrad({ learningRate: 0.1 }) });
  await table.push(
    keys,
    Float32Array.from({ length: 16 * keys.length }, (_, i) => (i % 17) - 8),
  );
  await store.checkpoint();
  await store.close();
  // LevelDB brings its own log into a table file as it opens.
  const again = await openStore(sound, options);
  rows = await (await again.table("rows")).pull(keys);
  await again.close();
});

for (const [where, place] of [
  ["anywhere", (bytes: Buffer, random: Prng) => random.below(bytes.length)],
  // The beginnings of entries: lengths, the key, its sequence and type, our header.
  ["before rows", (bytes: Buffer, random: Prng) => beginOfImage(bytes, random) - 24 + random.below(88)],
  // LevelDB's index of the table and what follows it.
  ["at the end", (bytes: Buffer, random: Prng) => bytes.length - 1 - random.below(400)],
] as const) {
  test(`a byte ${where}`, async () => {
    const random = new Prng(where.length);
    const outcomes = { opened: 0, refused: 0 };
    for (let round = 0; round < 12; round++) {
      const directory = join(root, "damaged");
      rmSync(directory, { recursive: true, force: true });
      cpSync(sound, directory, { recursive: true });
      const path = damage(directory, place, random);
      try {
        const store = await openStore(directory, options);
        const found = await (await store.table("rows")).pull(keys);
        await store.close();
        assert.ok(Buffer.from(found.buffer).equals(Buffer.from(rows.buffer)), path);
        outcomes.opened++;
      } catch (error) {
        assert.instance(error, EmbershardError, `${path}: ${error}`);
        assert.is((error as EmbershardError).code, "CORRUPT", `${path}: ${error}`);
        outcomes.refused++;
      }
    }
    assert.ok(outcomes.refused > 0, JSON.stringify(outcomes));
  });
}

function damage(directory: string, place: (bytes: Buffer, random: Prng) => number, random: Prng): string {
  const pages = join(directory, "shards", "0000", "pages");
  const tables = readdirSync(pages).filter((name) => name.endsWith(".ldb"));
  const path = join(pages, tables[random.below(tables.length)]);
  const bytes = readFileSync(path);
  const at = place(bytes, random);
  bytes[at] ^= 1 << random.below(8);
  writeFileSync(path, bytes);
  return `${path}, byte ${at}`;
}

/** Where one of the images in a file begins. */
function beginOfImage(bytes: Buffer, random: Prng): number {
  const images: number[] = [];
  for (let at = bytes.indexOf("EPG1"); at >= 0; at = bytes.indexOf("EPG1", at + 1)) images.push(at);
  return images[random.below(images.length)];
}

test.after(() => rmSync(root, { recursive: true, force: true }));

test.run();
