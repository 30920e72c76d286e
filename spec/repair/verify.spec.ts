// Verification of stores that are open and closed, and what the command says.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openStore } from "../../lib/index.js";
import type { VerifyReport } from "../../lib/repair/report.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { runHere } from "../cli/run-command.js";
import { copyOf, type LivedStore, liveStore, quietly } from "./lived-store.js";

const test = suite<{ lived: LivedStore }>("verification");
test.before(async (context) => {
  context.lived = await liveStore(5);
});
test.after(({ lived }) => lived.remove());

/** Flips a bit in the middle of the longest file of a folder. */
function flip(directory: string, folder: string, names: RegExp): string {
  const files = readdirSync(join(directory, folder))
    .filter((name) => names.test(name))
    .map((name) => ({ name, bytes: readFileSync(join(directory, folder, name)) }))
    .sort((a, b) => b.bytes.length - a.bytes.length);
  const [{ name, bytes }] = files;
  bytes[bytes.length >> 1] ^= 4;
  writeFileSync(join(directory, folder, name), bytes);
  return join(folder, name);
}

test("a whole store is ok, and verification changes none of its bytes", async ({ lived }) => {
  const directory = copyOf(lived, "whole");
  const files = () =>
    readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => [entry.name, readFileSync(join(entry.parentPath, entry.name), "latin1")]);
  const before = files();
  const progress: number[] = [];
  const report = await verifyStore(directory, { onProgress: ({ bytes }) => progress.push(bytes) });
  assert.is(report.status, "ok");
  assert.ok(report.lsn >= lived.lsns.at(-1)!);
  assert.ok(report.pages > 0 && report.generation > 0);
  assert.is(progress.at(-1), report.bytes);
  assert.equal(files(), before);
});

test("the command says what is damaged, and exits with 3", async ({ lived }) => {
  const directory = copyOf(lived, "flipped");
  assert.is((await runHere(["verify", directory])).code, 0);
  const file = flip(directory, "shards/0000/pages", /\.ldb$/);
  const { code, out } = await runHere(["verify", directory]);
  assert.is(code, 3);
  assert.ok(out.includes(file) && out.startsWith("damaged"), out);
  const json = JSON.parse((await runHere(["verify", directory, "--json"])).out);
  assert.is(json.status, "damaged");
  assert.ok(json.findings.some((finding: { file: string }) => finding.file === file));
});

test("a lost manifest is reported as that, and not as missing records", async ({ lived }) => {
  const directory = copyOf(lived, "no-manifest");
  const pages = join(directory, "shards", "0000", "pages");
  const { Level } = await import("level");
  const level = new Level<Uint8Array, Uint8Array>(pages, { keyEncoding: "view", valueEncoding: "view" });
  await level.del(Uint8Array.of(0));
  await level.close();
  const { findings } = await verifyStore(directory);
  assert.ok(findings.some(({ part, severity }) => part === "manifest" && severity === "damage"));
  try {
    await (await openStore(directory, quietly)).close();
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /knows of checkpoint \d+, the page store of none/);
  }
});

test("an entry that LevelDB does not find, since its sequence is beyond the last one, is reported", async ({
  lived,
}) => {
  const directory = copyOf(lived, "sequence");
  // LevelDB writes its table files when it is opened again.
  await (await openStore(directory, quietly)).close();
  const folder = join(directory, "shards", "0000", "pages");
  const tables = readdirSync(folder).filter((name) => name.endsWith(".ldb"));
  assert.ok(tables.length > 0);
  for (const name of tables) {
    const bytes = readFileSync(join(folder, name));
    // The first entry: bytes shared, not shared, of the value, a varint each, and the key, which ends with type and sequence.
    let at = 2;
    while (bytes[at++] >= 128);
    const damaged = Buffer.from(bytes);
    damaged[at + bytes[1] - 3] ^= 16;
    writeFileSync(join(folder, name), damaged);
    const { findings } = await verifyStore(directory);
    assert.ok(
      findings.some(({ severity, file }) => severity === "damage" && file.endsWith(name)),
      `${name}: ${JSON.stringify(findings)}`,
    );
    writeFileSync(join(folder, name), bytes);
  }
});

test("a page store without CURRENT is not made anew over what is left of it", async ({ lived }) => {
  const directory = copyOf(lived, "no-current");
  const { rmSync } = await import("node:fs");
  const pages = join(directory, "shards", "0000", "pages");
  rmSync(join(pages, "CURRENT"));
  const names = readdirSync(pages);
  try {
    await (await openStore(directory, quietly)).close();
    assert.unreachable();
  } catch (error) {
    assert.match((error as Error).message, /CURRENT/);
  }
  assert.equal(readdirSync(pages), names);
});

test("a store at work is verified by itself and by others, its log held meanwhile", async ({ lived }) => {
  const directory = copyOf(lived, "live");
  const store = await openStore(directory, { ...quietly, control: true });
  try {
    const table = await store.table("items");
    let pushes = 0;
    let going = true;
    const working = (async () => {
      for (; going; pushes++) {
        await table.push(BigUint64Array.of(BigInt(pushes % 50), 7n), new Float32Array(16).fill(0.01));
        if (pushes % 20 === 19) await store.checkpoint();
      }
    })();
    const reports: VerifyReport[] = [];
    // Until a checkpoint has been among them, however fast the machine is.
    do reports.push(await verifyStore(store), await verifyStore(directory));
    while (pushes <= 20);
    const said = await runHere(["verify", directory, "--json"]);
    going = false;
    await working;
    assert.is(said.code, 0, said.out + said.err);
    for (const { status, findings } of [...reports, JSON.parse(said.out)])
      assert.is(status, "ok", JSON.stringify(findings));
    assert.ok(pushes > 20, `${pushes} pushes were made meanwhile`);
    // Let go of: the log is discarded again.
    await store.checkpoint();
    assert.ok((await store.stats()).log.segments <= 2, `${(await store.stats()).log.segments} segments`);
  } finally {
    await store.close();
  }
});

test("a store that is open and does not answer is LOCKED", async ({ lived }) => {
  const directory = copyOf(lived, "mute");
  const store = await openStore(directory, quietly);
  const { code, err } = await runHere(["verify", directory]);
  await store.close();
  assert.is(code, 1);
  assert.match(err, /error LOCKED/);
});

test("an aborted verification says so", async ({ lived }) => {
  try {
    await verifyStore(copyOf(lived, "aborted"), { signal: AbortSignal.abort() });
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, "ABORTED");
  }
});

test.run();
