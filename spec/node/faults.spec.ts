// What breaks in a shard's thread is mended in it, and what kills the process loses nothing that was acknowledged.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { sgd } from "../../lib/api/optimizers.js";
import { systemClock } from "../../lib/base/clock.js";
import { uWebSocketTransport } from "../../lib/net/uwebsockets-transport.js";
import { type NodeEvent, RunningNode } from "../../lib/node/node.js";
import { float32Column } from "../../lib/wire/columns.js";
import type { TableReply } from "../../lib/wire/generated/frame-types.js";
import type { Fault } from "./faulty-thread.js";
import { get } from "./node-process.js";
import { keysFrom, named, settingsOf, writePart } from "./served-shard.js";
import { dialSocket } from "./socket-peer.js";
import type { WirePeer } from "./wire-peer.js";

const optimizer = sgd({ learningRate: 1 });
const test = suite<{ directory: string }>("faults");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "faults-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** A node of two shards whose threads break on demand. */
async function startNode(directory: string) {
  const events: NodeEvent[] = [];
  const told: (() => void)[] = [];
  const node = await RunningNode.start(
    settingsOf({ dir: directory, listen: "127.0.0.1:0", shards: 2, hugePages: "off" }),
    {
      transport: (failed) => uWebSocketTransport({ clock: systemClock, failed }),
      threadModule: new URL("./faulty-thread.js", import.meta.url),
      clock: systemClock,
      software: "spec",
      say(event) {
        events.push(event);
        for (const resolve of told.splice(0)) resolve();
      },
    },
  );
  const happened = async (event: NodeEvent["event"]) => {
    while (!events.some((one) => one.event === event))
      await new Promise<void>((resolve) => told.push(resolve));
  };
  return { node, events, happened };
}

/** A worker's connection to a shard. */
async function connectTo(
  port: number,
  session: bigint,
): Promise<{ peer: WirePeer; table: TableReply; say: (fault: Fault) => void }> {
  const { peer, connection } = await dialSocket(port);
  await peer.hello({ worker: "w", session });
  const table = await peer.openTable("items", { dim: 1, optimizer });
  return { peer, table, say: (fault) => connection.send([Buffer.from(fault)]) };
}

const pushOf = (peer: WirePeer, table: TableReply, sequence: number, session: bigint, keys: BigUint64Array) =>
  ({
    kind: "Push",
    write: { worker: peer.welcomed!.worker, session, sequence },
    parts: [writePart(table, keys.length)],
    keys,
    data: [new Float32Array(keys.length).fill(1)],
  }) as const;

/** Some keys of one shard's slots: which they are is known by asking. */
async function keysOf(peer: WirePeer, table: TableReply, n: number): Promise<BigUint64Array> {
  const keys: bigint[] = [];
  for (let key = 0; keys.length < n; key++) {
    const answer = await peer.next(
      peer.tell({ kind: "Contains", parts: [{ ...named(table), count: 1 }], keys: keysFrom(key, 1) }),
    );
    if (answer.body.kind === "Found") keys.push(BigInt(key));
  }
  return BigUint64Array.from(keys);
}

for (const fault of ["throw", "throw-here", "trap"] as const)
  test(`${fault}: the shard is opened again in its thread, on its port, and the other one goes on`, async ({
    directory,
  }) => {
    const { node, events, happened } = await startNode(directory);
    const { owners } = node.map;
    const { peer, table, say } = await connectTo(owners[0].port, 1n);
    const other = await connectTo(owners[1].port, 1n);
    const keys = await keysOf(peer, table, 3);
    const others = await keysOf(other.peer, other.table, 3);
    const push = pushOf(peer, table, 1, 1n, keys);
    assert.is((await peer.ask("Done", push)).touched, 3);
    const pull = { kind: "Pull", parts: [{ ...named(table), count: 3 }], keys } as const;
    say(fault);
    if (fault === "trap") assert.is(await peer.refusal(pull), "INTERNAL");
    await peer.gone();
    await other.peer.ask("Done", pushOf(other.peer, other.table, 1, 1n, others));
    await happened("rebuilt");
    assert.equal(
      events.map(({ event }) => event),
      ["rebuilding", "rebuilt"],
    );
    const { peer: again } = await connectTo(owners[0].port, 1n);
    assert.ok((await again.ask("Done", push)).repeated, "what was acknowledged is known");
    const rows = await again.ask("Rows", pull);
    assert.equal(float32Column(rows.data, 0, 3), Float32Array.of(-1, -1, -1));
    await other.peer.ask("Rows", { kind: "Pull", parts: [{ ...named(table), count: 3 }], keys: others });
    const { body } = await get(`127.0.0.1:${node.address.port}`, "/status");
    assert.equal(
      body.shards.map(({ rebuilds }) => rebuilds),
      [1, 0],
    );
    assert.is(body.state, "ready");
    await node.stop();
  });

for (const fault of ["heap", "exit"] as const)
  test(`${fault}: the process ends as by a crash, and what was acknowledged is there when it is started again`, async ({
    directory,
  }) => {
    const child = spawn(
      process.execPath,
      [fileURLToPath(new URL("./faulty-node.js", import.meta.url)), directory],
      { stdio: ["ignore", "pipe", "ignore"] },
    );
    const [line] = await once(child.stdout, "data");
    const port = JSON.parse(line);
    const { peer, table, say } = await connectTo(port, 1n);
    const keys = await keysOf(peer, table, 3);
    const push = pushOf(peer, table, 1, 1n, keys);
    await peer.ask("Done", push);
    say(fault);
    const [code, signal] = await once(child, "exit");
    assert.ok(
      signal !== null || code > 3,
      `it ended with ${code ?? signal}, which a supervisor takes for a crash`,
    );
    const { node } = await startNode(directory);
    const { peer: again } = await connectTo(node.map.owners[0].port, 1n);
    assert.ok((await again.ask("Done", push)).repeated);
    await node.stop();
  });

test.run();
