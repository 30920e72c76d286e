// The cluster's story as a process: nodes, workers, a kill, and nothing left behind.
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { COMMAND, runCommand } from "../cli/run-command.js";

const test = suite<{ directory: string }>("cluster story");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "cluster-story-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** Nobody listens where the nodes did. */
async function assertGone(dir: string): Promise<void> {
  const { nodes } = JSON.parse(readFileSync(join(dir, "cluster.json"), "utf8")) as {
    nodes: { port: number }[];
  };
  assert.is(nodes.length, 3);
  for (const { port } of nodes.flatMap(({ port }) => [{ port }, { port: port + 1 }])) {
    const socket = connectTcp(port, "127.0.0.1");
    const [error] = (await once(socket, "error")) as [NodeJS.ErrnoException];
    assert.is(error.code, "ECONNREFUSED");
  }
}

test("a node is killed and comes back; every push is counted once, the quality is that of one process", async ({
  directory,
}) => {
  const dir = join(directory, "nodes");
  const { code, out, err } = await runCommand(["demo", "--cluster", "--epochs", "1", "--dir", dir, "--json"]);
  assert.is(code, 0, err);
  const report = JSON.parse(out);
  assert.is(report.kills, 1);
  assert.is(report.batches, 188);
  assert.ok(report.retries > 0, "pushes were under way to the node that was killed");
  const { rows, lost, doubled } = report.counted;
  assert.equal([rows > 2000, lost, doubled], [true, 0, 0]);
  assert.ok(Math.abs(report.rmse - report.single.rmse) < 0.03, `${report.rmse}, ${report.single.rmse}`);
  assert.match(err, /killed with -9 after/);
  assert.match(err, /serves again after/);
  assert.not.ok(err.includes("\x1b"), "no escapes in a pipe");
  for (const node of ["a", "b", "c"]) assert.ok(existsSync(join(dir, node, "store")), node);
  await assertGone(dir);
});

test("Ctrl-C ends nodes and workers; a directory that is not new is refused", async ({ directory }) => {
  const dir = join(directory, "nodes");
  const story = spawn(process.execPath, [COMMAND, "demo", "--cluster", "--dir", dir], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(story, "exit");
  await said(story, "serve; look at them");
  story.kill("SIGINT");
  assert.equal(await ended, [130, null]);
  await assertGone(dir);
  const again = await runCommand(["demo", "--cluster", "--dir", dir]);
  assert.is(again.code, 2);
  assert.match(again.err, /^error INVALID_OPTIONS: found .* with something in it, expected a new directory/);
});

test("a worker that dies ends the story, with its name", async ({ directory }) => {
  const dir = join(directory, "nodes");
  const story = spawn(process.execPath, [COMMAND, "demo", "--cluster", "--epochs", "9", "--dir", dir], {
    stdio: ["ignore", "ignore", "pipe"],
  });
  const ended = once(story, "exit");
  await said(story, "serve; look at them");
  process.kill(await childOf(story.pid!, '"worker-2"'), "SIGKILL");
  await said(story, "worker-2 ended with SIGKILL");
  assert.equal(await ended, [1, null]);
  await assertGone(dir);
});

/** The child process of `parent` with `word` in its command line, as soon as there is one. */
async function childOf(parent: number, word: string): Promise<number> {
  for (;;) {
    const { stdout } = await promisify(execFile)("ps", ["-A", "-o", "pid=,ppid=,args="]);
    const child = stdout
      .split("\n")
      .map((line) => line.trim().split(/\s+/))
      .find(([, ppid, ...args]) => Number(ppid) === parent && args.join(" ").includes(word));
    if (child) return Number(child[0]);
  }
}

async function said(child: ChildProcess, text: string): Promise<void> {
  let err = "";
  for await (const piece of child.stderr!.iterator({ destroyOnReturn: false })) {
    err += piece;
    if (err.includes(text)) return;
  }
  throw new Error(`it never said "${text}": ${err}`);
}

test.run();
