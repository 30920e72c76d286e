// `embershard serve`, `status` and `config` as processes.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runCommand, runHere } from "../cli/run-command.js";
import { freePorts } from "./free-ports.js";
import { get, NodeProcess } from "./node-process.js";

const test = suite<{ directory: string; nodes: NodeProcess[] }>("serve");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "serve-spec-"));
  context.nodes = [];
});
test.after.each(async ({ directory, nodes }) => {
  for (const node of nodes) {
    node.child.kill("SIGKILL");
    await node.ended();
  }
  rmSync(directory, { recursive: true, force: true });
});

const anywhere = ["--listen", "127.0.0.1:0", "--no-supervise"];

test("a node says where it is, is ready, and stops with a checkpoint when it is told to", async ({
  directory,
  nodes,
}) => {
  const dir = join(directory, "model");
  const node = new NodeProcess(["--dir", dir, ...anywhere]);
  nodes.push(node);
  const { listen, ports } = await node.started();
  assert.is(ports.length, 1);
  assert.equal((await get(listen, "/health")).status, 200);
  const ready = await get(listen, "/ready");
  assert.is(ready.status, 200);
  const { body } = await get(listen, "/status");
  assert.is(body.state, "ready");
  assert.is(body.pid, node.child.pid);
  assert.is(body.nodes[0].slots, 16_384);
  assert.is(await node.stop(), 0, node.err);
  assert.equal(
    node.lines.map(({ event }) => event),
    ["started", "stopping", "stopped"],
  );
  const again = new NodeProcess(["--dir", dir, ...anywhere]);
  nodes.push(again);
  const second = await again.started();
  assert.ok((await get(second.listen, "/status")).body.shards[0].store!.checkpoint!.generation >= 1);
  assert.is(await again.stop("SIGINT", "SIGTERM", "SIGINT"), 0, "signals that come together are one order");
});

test("a node whose log nobody reads any more goes on, and stops in good order", async ({
  directory,
  nodes,
}) => {
  const node = new NodeProcess([
    "--dir",
    join(directory, "model"),
    "--listen",
    `127.0.0.1:${await freePorts(1)}`,
  ]);
  nodes.push(node);
  const { listen, pid } = await node.started();
  node.child.stdout!.destroy();
  node.child.stderr!.destroy();
  // Its supervisor says so, and it says that it is started again: both to nobody.
  process.kill(pid, "SIGKILL");
  await untilAnother(listen, pid);
  assert.is(await node.stop(), 0);
});

/** Waits until another process serves there. */
async function untilAnother(listen: string, pid: number): Promise<void> {
  for (;;) {
    const { body } = await get(listen, "/status").catch(() => ({ body: undefined }));
    if (body?.state === "ready" && body.pid !== pid) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test("several shards: a thread, a folder and a port each; another number is refused", async ({
  directory,
  nodes,
}) => {
  const dir = join(directory, "model");
  const node = new NodeProcess(["--dir", dir, "--shards", "3", ...anywhere]);
  nodes.push(node);
  const { listen, ports } = await node.started();
  assert.is(new Set(ports).size, 3);
  const { body } = await get(listen, "/status");
  assert.equal(
    body.shards.map(({ shard, state }: { shard: number; state: string }) => [shard, state]),
    [
      [0, "serving"],
      [1, "serving"],
      [2, "serving"],
    ],
  );
  assert.is(await node.stop(), 0, node.err);
  const other = new NodeProcess(["--dir", dir, "--shards", "2", ...anywhere]);
  nodes.push(other);
  assert.is(await other.ended(), 1);
  assert.match(other.err, `embershard reshard ${dir} --shards 2`);
  const again = new NodeProcess(["--dir", dir, ...anywhere]);
  nodes.push(again);
  assert.is((await again.started()).ports.length, 3);
  assert.is(await again.stop(), 0);
});

test("a directory that is open, a port that is taken, a directory that is no store: one line each", async ({
  directory,
  nodes,
}) => {
  const dir = join(directory, "model");
  const node = new NodeProcess(["--dir", dir, ...anywhere]);
  nodes.push(node);
  const { listen } = await node.started();
  writeFileSync(join(directory, "file"), "text");
  const server = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const taken = `127.0.0.1:${(server.address() as { port: number }).port}`;
  const wrong: [string[], number, RegExp][] = [
    [["--dir", dir, ...anywhere], 1, /^error LOCKED: .*model/],
    [["--dir", join(directory, "b"), "--listen", listen], 1, /^error UNAVAILABLE: cannot listen on 127/],
    [
      ["--dir", join(directory, "c"), "--listen", taken, "--no-supervise"],
      1,
      /^error UNAVAILABLE: cannot listen/,
    ],
    [["--dir", join(directory, "file"), ...anywhere], 1, /^error NOT_A_STORE: .*is a file/],
    [[...anywhere], 2, /^error INVALID_OPTIONS: no directory is given/],
    [["--dir", dir, "--listen", "0.0.0.0:7400"], 2, /^error INVALID_OPTIONS: .*needs --insecure/],

    [["--dir", dir, "--shards", "none"], 2, /^error INVALID_OPTIONS: shards: found "none" \(flag --shards\)/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => runCommand(["serve", ...args])));
  server.close();
  for (const [i, [args, code, line]] of wrong.entries()) {
    assert.match(ended[i].err, line, `${args.join(" ")}: ${ended[i].err}`);
    assert.is(ended[i].err.split("\n").length, 2, ended[i].err);
    assert.is(ended[i].code, code, args.join(" "));
  }
  assert.is((await get(listen, "/ready")).status, 200);
});

test("status shows a node as tables and as JSON, and says when none answers", async ({
  directory,
  nodes,
}) => {
  const node = new NodeProcess(["--dir", join(directory, "model"), ...anywhere]);
  nodes.push(node);
  const { listen } = await node.started();
  const plain = await runHere(["status", `http://${listen}`]);
  assert.is(plain.code, 0, plain.err);
  assert.match(plain.out, /^node +address +state/);
  assert.match(plain.out, /node\/0 +serving/);
  assert.match(plain.out, /1 node of 1 up, 0 rows/);
  assert.not.ok(plain.out.includes("\x1b"), "no escapes in a pipe");
  const watched = await runHere([
    "status",
    `ember://${listen}`,
    "--watch",
    "--every",
    "1",
    "--count",
    "2",
    "--json",
  ]);
  assert.is(watched.out.trim().split("\n").length, 2);
  assert.is(JSON.parse(watched.out.split("\n")[0]).nodes[0].status.shards[0].state, "serving");
  assert.is(await node.stop(), 0);
  const gone = await runHere(["status", listen]);
  assert.is(gone.code, 1);
  assert.match(gone.err, /^error UNAVAILABLE: no node answers at 127/);
  assert.match((await runHere(["status", "nowhere"])).err, /^error INVALID_OPTIONS: found "nowhere"/);
});

test("a node that crashes is started again by its supervisor, which passes signals on and ends with it", async ({
  directory,
  nodes,
}) => {
  const node = new NodeProcess(["--dir", join(directory, "model"), "--listen", "127.0.0.1:0"]);
  nodes.push(node);
  const first = await node.started();
  assert.is.not(first.pid, node.child.pid);
  process.kill(first.pid, "SIGKILL");
  const second = await node.started(2);
  assert.is.not(second.pid, first.pid);
  assert.match(JSON.stringify(await node.line("note")), /ended by SIGKILL: it is started again in 250 ms/);
  assert.is((await get(second.listen, "/ready")).status, 200);
  assert.is(await node.stop("SIGINT", "SIGTERM"), 0, node.err);
  assert.throws(() => process.kill(second.pid, 0), "ESRCH");
});

test("a node whose supervisor is killed stops by itself", async ({ directory, nodes }) => {
  const node = new NodeProcess(["--dir", join(directory, "model"), "--listen", "127.0.0.1:0"]);
  nodes.push(node);
  const { listen } = await node.started();
  node.child.kill("SIGKILL");
  // The node has the pipes of its parent: they end with it.
  await new Promise((resolve) => node.child.stdout!.once("close", resolve));
  assert.is(node.lines.at(-1)?.event, "stopped");
  assert.is((await runHere(["status", listen])).code, 1);
});

test("config shows what is in force and from where", async ({ directory }) => {
  const file = join(directory, "node.json");
  writeFileSync(file, JSON.stringify({ frameBytes: "2MiB", idleTimeoutMs: 10_000, connections: 7 }));
  const environment = { EMBERSHARD_CONNECTIONS: "8", EMBERSHARD_CONFIG: file };
  const { out, code } = await runHere(["config", "--json", "--connections", "9"], environment);
  assert.is(code, 0);
  const settings = JSON.parse(out);
  assert.equal(settings.connections, { value: 9, from: "flag --connections" });
  assert.equal(settings.frameBytes, { value: 2 << 20, from: `file ${file}` });
  assert.equal(settings.supervise, { value: true, from: "default" });
  const plain = await runHere(["config", "--no-supervise", "--idle-timeout", "1min"], {
    ...environment,
    EMBERSHARD_CONECTIONS: "1",
  });
  assert.match(plain.out, /connections +8 +environment EMBERSHARD_CONNECTIONS/);
  assert.match(plain.out, /supervise +false +flag --supervise/);
  assert.match(plain.out, /idleTimeoutMs +1min +flag --idle-timeout/);
  assert.match(plain.err, /^not settings: .*EMBERSHARD_CONECTIONS/);
  const wrong = await runHere(["config"], { EMBERSHARD_FRAME_BYTES: "1" });
  assert.is(wrong.code, 2);
  assert.match(
    wrong.err,
    /^error INVALID_OPTIONS: frameBytes: found "1" \(environment EMBERSHARD_FRAME_BYTES\), expected bytes from 64KiB to 256MiB/,
  );
});

test.run();
