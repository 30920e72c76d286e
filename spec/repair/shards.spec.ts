// Stores of several shards: verification and figures of each shard, and of all.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openStore } from "../../lib/index.js";
import type { VerifyReport } from "../../lib/repair/report.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { runHere } from "../cli/run-command.js";
import { keys, makeSharded, type ShardedStore } from "./sharded-store.js";

const test = suite<{ made: ShardedStore }>("tools for several shards");
test.before(async (context) => {
  context.made = await makeSharded(3);
});
test.after(({ made }) => made.remove());

/** Flips a bit in the middle of a file of a shard. */
export function flip(directory: string, folder: string, names: RegExp): string {
  const name = readdirSync(join(directory, folder)).find((one) => names.test(one))!;
  const path = join(directory, folder, name);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1] ^= 4;
  writeFileSync(path, bytes);
  return join(folder, name);
}

test("each shard is verified, and progress is over all", async ({ made }) => {
  const progress: { bytes: number; total: number }[] = [];
  const report = await verifyStore(made.directory, { onProgress: (one) => progress.push(one) });
  assert.is(report.status, "ok");
  assert.equal(
    report.shards.map(({ shard, status }) => [shard, status]),
    [
      [0, "ok"],
      [1, "ok"],
      [2, "ok"],
    ],
  );
  for (const name of ["bytes", "pages", "records"] as const)
    assert.is(
      report[name],
      report.shards.reduce((sum, shard) => sum + shard[name], 0),
    );
  assert.ok(
    report.shards.every(({ pages, records, generation }) => pages > 0 && records > 0 && generation > 0),
  );
  assert.is(progress.at(-1)?.bytes, report.bytes);
  assert.ok(
    progress.every(({ bytes, total }, i) => bytes >= (progress[i - 1]?.bytes ?? 0) && bytes <= total),
  );
});

test("damage of one shard is told with its file, and the command exits with 3", async ({ made }) => {
  const directory = made.copy("one-damaged");
  assert.is((await runHere(["verify", directory])).code, 0);
  const file = flip(directory, "shards/0001/log", /^\d+\.log$/);
  rmSync(join(directory, "shards/0002/log/MARK"));
  const { code, out } = await runHere(["verify", directory, "--json"]);
  assert.is(code, 3);
  const report = JSON.parse(out);
  assert.equal(
    report.shards.map(({ status }: { status: string }) => status),
    ["ok", "damaged", "damaged"],
  );
  const files = report.findings.map((finding: { file: string }) => finding.file);
  assert.ok(files.includes(file), files.join());
  assert.ok(files.includes(join("shards", "0002", "log", "MARK")), files.join());
  assert.ok(!files.some((one: string) => one.includes(join("shards", "0000"))), files.join());
  const text = (await runHere(["verify", directory])).out;
  assert.match(text, /^damaged[\s\S]*3 shards[\s\S]*shard +status[\s\S]* 0 +ok[\s\S]* 1 +damaged/);
});

test("two shards whose folders were exchanged are damage of both", async ({ made }) => {
  const directory = made.copy("exchanged");
  const folder = (number: number) => join(directory, "shards", `000${number}`, "log");
  const texts = [0, 1].map((number) =>
    readdirSync(folder(number)).map((name) => [name, readFileSync(join(folder(number), name))] as const),
  );
  for (const number of [0, 1]) {
    rmSync(folder(number), { recursive: true });
    mkdirSync(folder(number));
    for (const [name, bytes] of texts[1 - number]) writeFileSync(join(folder(number), name), bytes);
  }
  const { shards } = await verifyStore(directory);
  assert.equal(
    shards.map(({ status }) => status),
    ["damaged", "damaged", "ok"],
  );
});

test("a number of shards that is not that of the folders is damage, and never opens", async ({ made }) => {
  for (const said of [2, 4]) {
    const directory = made.copy(`said-${said}`);
    const path = join(directory, "store");
    writeFileSync(path, readFileSync(path, "utf8").replace('"shards": 3', `"shards": ${said}`));
    const { findings, shards } = await verifyStore(directory);
    assert.equal(
      findings.map(({ part, severity }) => [part, severity]),
      [["identity", "damage"]],
    );
    assert.is(shards.length, 3, "what there is was read");
    const opening = await openStore(directory, { threads: said }).then(
      () => "it opened",
      (error) => error.code,
    );
    assert.is(opening, "CORRUPT");
  }
});

test("inspect shows a closed store's sum and each shard, and rows wherever they are", async ({ made }) => {
  const { directory } = made;
  const { out, err } = await runHere(["inspect", directory, "--json"]);
  const stats = JSON.parse(out || err);
  assert.is(stats.owner, null);
  const rows = Object.fromEntries(
    stats.tables.map((table: { name: string; rows: number }) => [table.name, table.rows]),
  );
  assert.equal(rows, { items: keys.length, bias: 16 });
  assert.is(
    stats.shards.reduce((sum: number, shard: { rows: number }) => sum + shard.rows, 0),
    keys.length + 16,
  );
  assert.ok(stats.shards.every((shard: { rows: number }) => shard.rows > 0));
  assert.match((await runHere(["inspect", directory])).out, /shard +rows +memory[\s\S]*\n +2 /);
  const args = ["inspect", directory, "--table", "items", "--keys", `${keys[1]},${keys[2]},5`, "--json"];
  const shown = JSON.parse((await runHere(args)).out);
  assert.equal(
    shown.rows.map(({ found }: { found: boolean }) => found),
    [true, true, false],
  );
  const store = await openStore(directory, { threads: 3 });
  const pulled = await (await store.table("items")).pull(keys.subarray(1, 3));
  await store.close();
  assert.equal([...shown.rows[0].weights, ...shown.rows[1].weights], [...pulled]);
});

test("of one that is open its owner answers; its pages are verified beside it, and its log is said not to be", async ({
  made,
}) => {
  const directory = made.copy("open");
  const store = await openStore(directory, { threads: 3 });
  try {
    assert.is((await runHere(["inspect", directory])).code, 0);
    await store.checkpoint();
    for (const report of [await verifyStore(store), await verifyStore(directory)]) {
      assert.is(report.status, "ok");
      assert.ok(report.pages > 0 && report.lsn > 0 && report.records === 0);
      assert.equal(
        report.findings.map(({ severity, part }) => `${severity} ${part}`),
        ["note log", "note log", "note log"],
      );
    }
    const { code, out } = await runHere(["verify", directory]);
    assert.is(code, 0);
    assert.match(out, new RegExp(`it is not read: .* on 3 threads in the process with pid ${process.pid}`));
    flip(directory, "shards/0001/pages", /\.ldb$/);
    const damaged = await runHere(["verify", directory, "--json"]);
    assert.is(damaged.code, 3);
    const { findings } = JSON.parse(damaged.out) as VerifyReport;
    assert.ok(findings.every(({ severity, file }) => severity === "note" || file.includes("0001")));
  } finally {
    await store.close();
  }
});

test.run();
