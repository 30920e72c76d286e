// What networks do to real sockets between clients and a node: every push counts once, whatever is cut, late or swallowed.
import { join } from "node:path";
import * as assert from "uvu/assert";
import { connect, type EmbershardError, type Table } from "../../lib/index.js";
import { TcpProxy } from "../net/tcp-proxy.js";
import { freePorts } from "./free-ports.js";
import { type Context, keys, n, nodeSuite, serve, worker } from "./node-suite.js";

const test = nodeSuite("proxied faults");
const ones = new Float32Array(2 * n).fill(1);
const proxies: TcpProxy[] = [];
test.after.each(async () => {
  await Promise.all(proxies.splice(0).map((proxy) => proxy.close()));
});

interface Proxied {
  readonly proxy: TcpProxy;
  readonly table: Table;
}

/** A node that tells clients the address of a proxy in front of its shard. */
async function proxied(context: Context, options: { deadlineMs?: number } = {}): Promise<Proxied> {
  const port = await freePorts(4);
  // Clients are told that control port and shard are at port + 3 and port + 4.
  const [control, shard] = await Promise.all(
    [0, 1].map((i) => TcpProxy.open({ host: "127.0.0.1", port: port + i }, port + 3 + i)),
  );
  proxies.push(control, shard);
  const node = ["--listen", `127.0.0.1:${port}`, "--advertise", `127.0.0.1:${port + 3}`, "--no-supervise"];
  await serve(context, ["--dir", join(context.directory, "m"), ...node]);
  const { table: first } = await worker(context, `ember://127.0.0.1:${port + 3}`, "w");
  if (options.deadlineMs === undefined) return { proxy: shard, table: first };
  const impatient = await connect(`ember://127.0.0.1:${port + 3}`, { worker: "i", ...options });
  context.stores.push(impatient);
  return { proxy: shard, table: await impatient.table("items") };
}

test("connections are cut in the middle of frames, in either direction: each push counts once", async (context) => {
  const { proxy, table } = await proxied(context);
  let pushes = 0;
  for (const bytes of [1, 40, 300, 700, 2000, 4000, 4600]) {
    for (const direction of ["toServer", "toClient"] as const) {
      const before = proxy.passedBytes[direction];
      proxy.cutAfter(direction, bytes);
      const under: Promise<void>[] = [];
      // Connections that the client makes anew are cut there, too, until one has been.
      while (proxy.passedBytes[direction] < before + bytes) {
        if (under.length < 100) under.push(table.push(keys, ones));
        await new Promise((resolve) => setImmediate(resolve));
      }
      pushes += under.length;
      proxy.cutAfter(direction, Number.POSITIVE_INFINITY);
      await Promise.all(under);
      assert.equal(new Set(await table.pull(keys)), new Set([-pushes]), `${direction}, ${bytes} bytes`);
    }
  }
  assert.equal(new Set(await table.occurrences(keys)), new Set([pushes]));
});

test("a black hole, and one direction only: DEADLINE; when it passes again, what was sent counts once at most", async (context) => {
  const { proxy, table } = await proxied(context, { deadlineMs: 300 });
  await table.push(keys, ones);
  for (const held of [["toServer"], ["toClient"], ["toServer", "toClient"]] as const) {
    const [before] = await table.occurrences(keys);
    proxy.hold(...held);
    const codes = await Promise.all([codeOf(table.push(keys, ones)), codeOf(table.pull(keys))]);
    assert.equal(codes, ["DEADLINE", "DEADLINE"], held.join());
    proxy.hold();
    await table.push(keys, ones);
    const [after] = await table.occurrences(keys);
    assert.ok(after - before === 1 || after - before === 2, `${held}: ${before}, then ${after}`);
    assert.is(new Set(await table.occurrences(keys)).size, 1, "all or nothing");
  }
});

test("bytes that come late, and in pieces: slower, and the same", async (context) => {
  const { proxy, table } = await proxied(context);
  proxy.delayMs = 15;
  await Promise.all(Array.from({ length: 10 }, () => table.push(keys, ones)));
  assert.equal(new Set(await table.pull(keys)), new Set([-10]));
  proxy.refuses = true;
  proxy.cut();
  const waiting = table.push(keys, ones);
  proxy.refuses = false;
  await waiting;
  assert.equal(new Set(await table.occurrences(keys)), new Set([11]));
});

async function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  try {
    await call;
    return undefined;
  } catch (error) {
    return (error as EmbershardError).code;
  }
}

test.run();
