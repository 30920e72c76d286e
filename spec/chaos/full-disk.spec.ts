// A real file system of a few MiB, filled up under load. Needs the right to mount one.
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import {
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  rmSync,
  statfsSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError, openStore } from "../../lib/index.js";
import { Expectation } from "./expectation.js";
import type { FullDiskPlan } from "./full-disk-life.js";
import { readJournal } from "./life.js";
import { readContents } from "./world.js";

const lifeScript = fileURLToPath(new URL("./full-disk-life.js", import.meta.url));
const diskMiB = 96;
const place = mkdtempSync(join(tmpdir(), "embershard-full-disk-"));
const disk = join(place, "disk");
mkdirSync(disk);
const mounted = spawnSync("mount", ["-t", "tmpfs", "-o", `size=${diskMiB}m`, "tmpfs", disk]).status === 0;

test.after(() => {
  if (mounted) spawnSync("umount", ["-l", disk]);
  rmSync(place, { recursive: true, force: true });
});

const ballast = join(disk, "ballast");

/** Takes all room but `leaveBytes`. */
function fill(leaveBytes: number): void {
  const file = openSync(ballast, "w");
  const { bavail, bsize } = statfsSync(disk);
  const chunk = new Uint8Array(1 << 16);
  for (let bytes = bavail * bsize - leaveBytes; bytes > 0; bytes -= chunk.length) {
    writeSync(file, chunk.subarray(0, Math.min(bytes, chunk.length)));
  }
  closeSync(file);
}

function makeRoom(): void {
  rmSync(ballast);
}

/** The child's next line, which must match. */
async function expectLine(lines: AsyncIterator<string>, pattern: RegExp, child: ChildProcess): Promise<void> {
  const { value, done } = await lines.next();
  if (done)
    throw new Error(`the child ended with ${child.exitCode ?? child.signalCode} before it said ${pattern}`);
  assert.match(value, pattern);
}

test("a disk that fills up under load: read-only, room made, on with it, killed, nothing lost", async () => {
  if (!mounted) return console.log("left out: mounting a file system is not permitted here");
  const plan: FullDiskPlan = {
    directory: join(disk, "store"),
    journal: join(place, "journal"),
    seed: 4,
    scale: { keys: 3000, batch: 60, burst: 1200 },
  };
  writeFileSync(plan.journal, "");
  const child = spawn(process.execPath, ["--enable-source-maps", lifeScript, JSON.stringify(plan)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  const go = () => child.stdin!.write("go\n");

  await expectLine(lines, /^fill$/, child);
  fill(150_000);
  go();
  await expectLine(lines, /^read-only$/, child);
  makeRoom();
  await expectLine(lines, /^healed$/, child);

  await expectLine(lines, /^fill$/, child);
  fill(0);
  go();
  await expectLine(lines, /^checkpoint IO could not .* the page store .*No space left/, child);
  makeRoom();
  await expectLine(lines, /^healed$/, child);

  await expectLine(lines, /^fill$/, child);
  fill(100_000);
  go();
  await expectLine(lines, /^read-only$/, child);
  child.kill("SIGKILL");
  await ended;

  const options = { control: false, hugePages: "off", arenaBytes: 32 << 20, checkpoint: false } as const;
  const { bavail, bsize } = statfsSync(disk);
  if (bavail * bsize > 0) writeFileSync(join(disk, "more"), new Uint8Array(bavail * bsize));
  try {
    await openStore(plan.directory, options);
    assert.unreachable("a store was opened on a full disk");
  } catch (error) {
    assert.instance(error, EmbershardError, (error as Error).stack!);
    assert.is((error as EmbershardError).code, "IO");
  }
  makeRoom();
  const store = await openStore(plan.directory, options);
  const { sent, acknowledged } = readJournal(plan.journal);
  const expectation = new Expectation(plan.seed, plan.scale);
  expectation.demand({
    contents: await readContents(store),
    mark: await store.mark(),
    sent,
    acknowledged,
    checkpointed: 0,
  });
  assert.ok(expectation.applied > 200, `${expectation.applied} operations are held`);
  await store.checkpoint();
  await store.close();
});

test("a program that only waits for a push goes on when there is room, and does not end before", async () => {
  if (!mounted) return console.log("left out: mounting a file system is not permitted here");
  const library = new URL("../../lib/index.js", import.meta.url);
  const script = `import { openStore, sgd } from ${JSON.stringify(library.href)};
    const store = await openStore(${JSON.stringify(join(disk, "waiting"))}, { control: false, hugePages: "off" });
    const table = await store.table("t", { dim: 512, optimizer: sgd({ learningRate: 1 }) });
    const keys = BigUint64Array.from({ length: 500 }, (_, i) => BigInt(i));
    const push = () => table.push(keys, new Float32Array(500 * 512).fill(1));
    await push();
    process.stdout.write("fill\\n");
    await new Promise((resolve) => process.stdin.once("data", resolve));
    process.stdin.destroy();
    await Promise.all(Array.from({ length: 20 }, push));
    process.stdout.write("done\\n");
    await store.close();`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const ended = new Promise((resolve) => child.on("close", resolve));
  const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
  await expectLine(lines, /^fill$/, child);
  fill(5_000_000);
  child.stdin!.write("go\n");
  const early = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 3000, "waits"))]);
  assert.is(early, "waits");
  makeRoom();
  await expectLine(lines, /^done$/, child);
  assert.is(await ended, 0);
});

test.run();
