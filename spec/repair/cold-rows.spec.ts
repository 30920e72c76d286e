// Tables larger than their memory: verification reads their cold rows, and repair makes nothing that would lack them.
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { adagrad, openStore } from "../../lib/index.js";
import { repairStore } from "../../lib/repair/repair-store.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { quietly } from "./lived-store.js";

const test = suite<{ directory: string; home: string }>("cold rows");

test.before.each(async (context) => {
  context.home = mkdtempSync(join(tmpdir(), "embershard-repair-"));
  context.directory = join(context.home, "store");
  const store = await openStore(context.directory, quietly);
  const table = await store.table("bounded", {
    dim: 16,
    optimizer: adagrad({ learningRate: 0.1 }),
    memory: 1 << 20,
  });
  const n = 2000;
  for (let i = 0; i < 10; i++) {
    const keys = BigUint64Array.from({ length: n }, (_, j) => BigInt(i * n + j));
    await table.push(keys, new Float32Array(16 * n).fill(0.5));
  }
  assert.ok((await table.stats()).cold!.rows > 0);
  await store.close();
  // Opening makes a table file of LevelDB's write-ahead log.
  await (await openStore(context.directory, quietly)).close();
});
test.after.each(({ home }) => rmSync(home, { recursive: true }));

async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    return (error as { code?: string }).code;
  }
}

test("a flipped bit of one is damage, which names the key; repair says UNSUPPORTED", async ({
  directory,
  home,
}) => {
  assert.is((await verifyStore(directory)).status, "ok");
  assert.is((await repairStore(directory)).status, "whole");
  flipValue(join(directory, "shards", "0000", "pages"));
  const names = readdirSync(home);
  const { findings } = await verifyStore(directory);
  assert.ok(
    findings.some(
      ({ severity, part, what }) =>
        severity === "damage" && part === "cold row" && /the cold row of key \d+/.test(what ?? ""),
    ),
    JSON.stringify(findings),
  );
  assert.is(await codeOf(repairStore(directory, { acceptLoss: true })), "UNSUPPORTED");
  assert.equal(readdirSync(home), names);
});

/** Flips a bit in a value of a cold row that a table file holds. */
function flipValue(pages: string): void {
  const path = readdirSync(pages)
    .filter((name) => name.endsWith(".ldb"))
    .map((name) => join(pages, name))
    .find((one) => readFileSync(one).includes("ECR1"))!;
  const bytes = readFileSync(path);
  bytes[bytes.lastIndexOf("ECR1") + 40] ^= 1;
  writeFileSync(path, bytes);
}

test.run();
