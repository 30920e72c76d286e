// A node whose disk fills up while workers push: a real file system of a few MiB. Needs the right to mount one.
import { spawnSync } from "node:child_process";
import { closeSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from "node:fs";
import { join } from "node:path";
import * as assert from "uvu/assert";
import { connect, type EmbershardError } from "../../lib/index.js";
import { get } from "./node-process.js";
import { keys, n, nodeSuite, pushing, serve, worker } from "./node-suite.js";

const test = nodeSuite("full disk");
const ones = new Float32Array(2 * n).fill(1);

/** Takes all room that there is. Gives the file to remove when there is to be some again. */
function fill(disk: string): string {
  const ballast = join(disk, "ballast");
  const file = openSync(ballast, "w");
  const { bavail, bsize } = statfsSync(disk);
  const chunk = new Uint8Array(4096);
  try {
    // More than there is: the node writes at the same time.
    for (let bytes = bavail * bsize; bytes >= 0; bytes -= chunk.length) writeSync(file, chunk);
  } catch (error) {
    assert.is((error as NodeJS.ErrnoException).code, "ENOSPC");
  }
  closeSync(file);
  return ballast;
}

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve));
}

test("its disk fills up under load: pushes are refused, pulls go on, with room it goes on, and nothing is lost or doubled", async (context) => {
  const disk = join(context.directory, "disk");
  mkdirSync(disk);
  if (spawnSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]).status !== 0)
    return console.log("left out: mounting a file system is not permitted here");
  try {
    const args = ["--dir", join(disk, "m"), "--listen", "127.0.0.1:0", "--log-buffer-bytes", "1MiB"];
    const node = await serve(context, [...args, "--arena-bytes", "32MiB", "--no-supervise"]);
    const { connect: address, listen } = await node.started();
    const loads = await Promise.all(
      ["a", "b"].map(async (name) => pushing((await worker(context, address, name)).table)),
    );
    const hasty = await connect(address, { worker: "hasty", tries: 1 });
    context.stores.push(hasty);
    const table = await hasty.table("items");
    for (let time = 0; time < 2; time++) {
      const begun = loads.map((load) => load.count());
      await until(() => loads.every((load, i) => load.count() > begun[i] + 5));
      const ballast = fill(disk);
      // Pushes that were on their way to the log wait there; those that come now are refused.
      await until(async () => (await get(listen, "/ready")).status === 503);
      const refusal = await table.push(keys, ones).catch((error: EmbershardError) => error);
      assert.is(refusal?.code, "READ_ONLY", refusal?.stack);
      assert.match(refusal!.message, /ENOSPC|no space/i);
      const acknowledged = loads.map((load) => load.count());
      const rows = await table.pull(keys);
      assert.is(rows.length, 2 * n);
      assert.equal(
        loads.map((load) => load.count()),
        acknowledged,
        "nobody is told what is not in the log",
      );
      rmSync(ballast);
      await until(async () => (await get(listen, "/ready")).status === 200);
    }
    const counts = await Promise.all(loads.map((load) => load.stop()));
    const pushes = counts[0] + counts[1];
    assert.equal(new Set(await table.pull(keys)), new Set([-pushes]), `${pushes} pushes were acknowledged`);
    assert.is(node.lines.length, 1, "it was not started again");
    node.child.kill("SIGKILL");
    await node.ended();
    const again = await serve(context, [...args, "--no-supervise"]);
    const { table: found } = await worker(context, (await again.started()).connect, "c");
    assert.equal(new Set(await found.pull(keys)), new Set([-pushes]));
    assert.equal(new Set(await found.occurrences(keys)), new Set([pushes]));
    assert.is(await again.stop(), 0, again.err);
  } finally {
    spawnSync("umount", ["-l", disk]);
  }
});

test.run();
