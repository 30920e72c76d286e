// The server against peers that are not ours: the `ws` package, and clients that break rules or hold what others need.
import { spawnSync } from "node:child_process";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../lib/base/clock.js";
import {
  type Connection,
  DEFAULT_CONNECT_OPTIONS,
  DEFAULT_SOCKET_LIMITS,
  type HttpHandler,
  type SocketLimits,
} from "../../lib/net/connection.js";
import { streamTransport } from "../../lib/net/stream-transport.js";
import { loadUWebSockets } from "../../lib/net/uwebsockets-module.js";
import { uWebSocketTransport } from "../../lib/net/uwebsockets-transport.js";
import { frame, RawClient, upgradeText, ws } from "./raw-peers.js";
import { pattern, Recorder, sameBytes, until } from "./recorder.js";
import { VirtualClock } from "./virtual-clock.js";

const unplanned = (error: unknown) => {
  throw error;
};

async function serve(limits: Partial<SocketLimits> = {}, clock = new VirtualClock(), http?: HttpHandler) {
  const served: { recorder: Recorder; connection: Connection }[] = [];
  const listener = await uWebSocketTransport({ clock, failed: unplanned }).listen(
    { host: "127.0.0.1", port: 0 },
    { ...DEFAULT_SOCKET_LIMITS, messageBytes: 1 << 20, ...limits },
    (connection) => {
      const recorder = new Recorder();
      recorder.onMessage = (bytes) => connection.send([bytes]);
      served.push({ recorder, connection });
      return recorder;
    },
    http,
  );
  const { port } = listener;
  return { port, listener, served, clock, [Symbol.asyncDispose]: () => listener.close() };
}

const byte = Uint8Array.of(65);

test("the `ws` client is understood and understands", async () => {
  await using server = await serve();
  for (const extra of [{}, { perMessageDeflate: true }]) {
    const client = new ws.WebSocket(`ws://127.0.0.1:${server.port}/a`, extra);
    const came: Buffer[] = [];
    let [opened, pongs] = [false, 0];
    let closed: { code: number; reason: string } | undefined;
    client.on("open", () => {
      opened = true;
    });
    client.on("message", (data, isBinary) => {
      assert.ok(isBinary);
      came.push(data);
    });
    client.on("pong", () => pongs++);
    client.on("close", (code, reason) => {
      closed = { code, reason: String(reason) };
    });
    await until(() => opened, "it opens");
    const sizes = [0, 1, 125, 126, 65_535, 65_536, 1 << 20];
    for (const [i, size] of sizes.entries()) client.send(pattern(size, i));
    client.ping();
    // A message of three frames, with a ping between them.
    const parts = [pattern(10, 1), pattern(70_000, 2), pattern(5, 3)];
    for (const [i, part] of parts.entries()) {
      client.send(part, { fin: i === 2 });
      client.ping();
    }
    await until(() => came.length === sizes.length + 1 && pongs === 4, "all came back");
    for (const [i, size] of sizes.entries()) assert.ok(sameBytes(came[i], pattern(size, i)));
    assert.ok(sameBytes(came[sizes.length], Buffer.concat(parts)));
    server.served.at(-1)!.connection.close(4321, "enough");
    await until(() => closed !== undefined, "it closes");
    assert.equal(closed, { code: 4321, reason: "enough" });
  }
  const texter = new ws.WebSocket(`ws://127.0.0.1:${server.port}/`);
  let code = 0;
  texter.on("open", () => texter.send("text", { binary: false }));
  texter.on("close", (closed) => {
    code = closed;
  });
  await until(() => code === 1003, "text is refused");
});

test("what breaks RFC 6455 ends that connection, and no other", async () => {
  await using server = await serve();
  const bystander = await RawClient.upgraded(server.port);
  const breaks: Record<string, Uint8Array> = {
    "a reserved bit": frame(0xc2, byte, { masked: true }),
    "opcode 3": frame(0x83, byte, { masked: true }),
    "opcode 11": frame(0x8b, byte, { masked: true }),
    "a long ping": frame(0x89, new Uint8Array(126), { masked: true }),
    "a fragmented ping": frame(0x09, byte, { masked: true }),
    "a second part first": frame(0x80, byte, { masked: true }),
    "a length of 2^64 - 1": frame(0x82, byte, { masked: true, form: 64, length: 2n ** 64n - 1n }),
    "a length of 2^63": frame(0x82, byte, { masked: true, form: 64, length: 2n ** 63n }),
    "a length over the limit": frame(0x82, byte, { masked: true, length: (1 << 20) + 1 }),
    "parts over the limit": Buffer.concat([
      frame(0x02, new Uint8Array(1 << 20), { masked: true }),
      frame(0x80, byte, { masked: true }),
    ]),
    "a close of one byte": frame(0x88, byte, { masked: true }),
    "a close with 1005": frame(0x88, Uint8Array.of(3, 0xed), { masked: true }),
    "text that is not UTF-8": frame(0x81, Uint8Array.of(0xff), { masked: true }),
  };
  for (const [what, bytes] of Object.entries(breaks)) {
    const client = await RawClient.upgraded(server.port);
    client.socket.write(bytes);
    await until(() => client.ended, `${what} ends the connection`);
    const { recorder } = server.served.at(-1)!;
    await until(() => recorder.closedWith !== undefined, what);
    assert.is(recorder.messages.length, 0, what);
  }
  bystander.socket.write(frame(0x82, byte, { masked: true }));
  await until(() => bystander.received.length === 3, "the bystander is answered");
  assert.equal([...bystander.received], [0x82, 1, 65]);
  bystander.destroy();
});

test("garbage, half requests and pages in browsers do not get a connection", async () => {
  await using server = await serve();
  for (const text of [
    "\x00\x01garbage\r\n\r\n",
    "GET / HTTP/9.9\r\n\r\n",
    `GET /${"a".repeat(20_000)} HTTP/1.1\r\n\r\n`,
  ]) {
    const client = new RawClient(server.port);
    client.socket.write(text, "latin1");
    await until(() => client.ended, "garbage is not kept");
  }
  const page = new RawClient(server.port);
  page.socket.write(upgradeText(["Origin: http://evil.example"]));
  await until(() => page.ended, "a page is refused");
  assert.match(page.received.toString(), /^HTTP\/1\.1 403 /);
  const half = new RawClient(server.port);
  half.socket.write(upgradeText().slice(0, 60));
  const silent = new RawClient(server.port);
  await new Promise((resolve) => setImmediate(resolve));
  half.destroy();
  silent.destroy();
  assert.is(server.served.length, 0);
});

test("GET is answered, at once or later; what throws is 500; other methods and paths are refused", async () => {
  const failures: unknown[] = [];
  const listener = await uWebSocketTransport({
    clock: systemClock,
    failed: (error) => void failures.push(error),
  }).listen(
    { host: "127.0.0.1", port: 0 },
    DEFAULT_SOCKET_LIMITS,
    () => new Recorder(),
    ({ path }) => {
      if (path === "/health") return { status: 200, type: "application/json", body: '{"ok":true}' };
      if (path === "/ready")
        return new Promise((resolve) =>
          setImmediate(() => resolve({ status: 503, type: "application/json", body: "{}" })),
        );
      if (path === "/throws") throw new Error("planned");
      return undefined;
    },
  );
  const at = (path: string, init?: object) => fetch(`http://127.0.0.1:${listener.port}${path}`, init);
  const health = await at("/health?a=1");
  assert.equal(
    [health.status, health.headers.get("content-type"), await health.json()],
    [200, "application/json", { ok: true }],
  );
  assert.is((await at("/ready")).status, 503);
  assert.is((await at("/throws")).status, 500);
  assert.is(failures.length, 1);
  assert.is((await at("/other")).status, 404);
  assert.is((await at("/health", { method: "POST", body: "x" })).status, 405);
  // One that goes before its answer is ready.
  const gone = new RawClient(listener.port);
  gone.socket.write("GET /ready HTTP/1.1\r\nHost: x\r\n\r\n");
  gone.socket.end();
  await until(() => gone.ended);
  await listener.close();
});

test("a connection that does not say a first whole message in time is closed", async () => {
  await using server = await serve({ handshakeMs: 400 });
  const silent = await RawClient.upgraded(server.port);
  const pinging = await RawClient.upgraded(server.port);
  const half = await RawClient.upgraded(server.port);
  const good = await RawClient.upgraded(server.port);
  good.socket.write(frame(0x82, byte, { masked: true }));
  pinging.socket.write(frame(0x89, byte, { masked: true }));
  half.socket.write(frame(0x82, new Uint8Array(10), { masked: true, length: 100 }));
  await until(() => good.received.length === 3 && pinging.received.length === 3, "answers");
  await server.clock.pass(350);
  assert.is(server.listener.connections, 4);
  await server.clock.pass(150);
  await until(() => [silent, pinging, half].every(({ closeCode }) => closeCode === 1008), "three are closed");
  assert.is(server.listener.connections, 1);
  for (const one of [silent, pinging, half, good]) one.destroy();
});

test("a sender of single bytes is cut off, and one that is only quiet is not", async () => {
  await using server = await serve({ pingMs: 1000, answerMs: 3000 });
  const clients = await Promise.all(Array.from({ length: 3 }, () => RawClient.upgraded(server.port)));
  const [dripping, quiet, quick] = clients;
  for (const client of clients) client.socket.write(frame(0x82, byte, { masked: true }));
  await until(() => clients.every(({ received }) => received.length === 3), "greeted");
  const rest = frame(0x82, new Uint8Array(1 << 20), { masked: true });
  dripping.socket.write(rest.subarray(0, 20));
  for (let second = 0; second < 3; second++) {
    await server.clock.pass(1000);
    dripping.socket.write(byte);
    quick.socket.write(frame(0x82, byte, { masked: true }));
    const pings = quiet.received.filter((one) => one === 0x89).length;
    if (pings > 0) quiet.socket.write(frame(0x8a, new Uint8Array(0), { masked: true }));
    await until(() => quick.received.length >= 3 * (second + 2), "answered");
  }
  assert.is(server.listener.connections, 3);
  await until(() => quiet.received.includes(0x89), "the quiet one is pinged");
  // It answers, and asks in turn, so that it is known when the answer has come.
  quiet.socket.write(frame(0x8a, new Uint8Array(0), { masked: true }));
  quiet.socket.write(frame(0x89, new Uint8Array(0), { masked: true }));
  await until(() => quiet.received.includes(0x8a), "the answer has come");
  await server.clock.pass(1900);
  await until(() => dripping.ended, "the dripping one is cut off");
  assert.is(server.served[0].recorder.closedWith!.code, 1006);
  assert.is(server.served[1].recorder.closedWith, undefined);
  for (const one of clients) one.destroy();
});

test("a reader that does not read is cut off, one that reads slowly enough is kept, and others are served", async () => {
  await using server = await serve({ readerMs: 2000, readerBytesPerSecond: 100_000, pingMs: 0 });
  const clients = await Promise.all(Array.from({ length: 3 }, () => RawClient.upgraded(server.port)));
  const [stuck, slow, quick] = clients;
  for (const client of clients) client.socket.write(frame(0x82, byte, { masked: true }));
  await until(() => clients.every(({ received }) => received.length === 3), "greeted");
  stuck.socket.pause();
  slow.socket.pause();
  for (let i = 0; i < 24; i++)
    for (const { connection } of server.served.slice(0, 2)) connection.send([pattern(1 << 20, i)]);
  assert.ok(server.served.slice(0, 2).every(({ connection }) => connection.waitingBytes > 0));
  const waiting = () => server.served[1].connection.waitingBytes;
  for (let round = 0; round < 4; round++) {
    // What the slow one reads in two seconds is more than the limit asks for.
    const before = waiting();
    slow.socket.resume();
    await until(() => waiting() < before - 300_000 || waiting() === 0, "some is read");
    slow.socket.pause();
    await server.clock.pass(1000);
    quick.socket.write(frame(0x82, byte, { masked: true }));
    await until(() => quick.received.length === 3 * (round + 2), "the quick one is answered");
  }
  await until(() => server.served[0].recorder.closedWith !== undefined, "the stuck one is dropped");
  assert.is(server.served[1].recorder.closedWith, undefined);
  for (const one of clients) one.destroy();
});

test("over the bound of waiting bytes a connection is dropped, not a message", async () => {
  await using server = await serve({ waitingBytes: 4 << 20 });
  const stuck = await RawClient.upgraded(server.port);
  stuck.socket.write(frame(0x82, byte, { masked: true }));
  await until(() => stuck.received.length === 3);
  stuck.socket.pause();
  const { connection, recorder } = server.served[0];
  for (let i = 0; i < 40 && !recorder.closedWith; i++) {
    connection.send([pattern(1 << 20, i)]);
    assert.ok(connection.waitingBytes <= 5 << 20);
    await Promise.resolve();
  }
  assert.is(recorder.closedWith?.code, 1006);
  stuck.destroy();
});

test("floods of sockets stay within the limits", async () => {
  await using server = await serve({ connections: 5 });
  const flood = Array.from({ length: 400 }, () => new RawClient(server.port));
  // 5 connections and 256 others may be there: the rest is dropped at once, unheard.
  await until(() => flood.filter(({ ended }) => ended).length === 400 - 5 - 256, "the rest is dropped");
  for (const one of flood) one.destroy();
  let client: RawClient | undefined;
  for (let tries = 0; !client && tries < 200; tries++)
    client = await RawClient.upgraded(server.port).catch(() => undefined);
  assert.ok(client, "there is room again");
  client.destroy();
});

test("views over WebAssembly memory are sent from beyond 2 GiB", async () => {
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 65_536 });
  memory.grow(40_000);
  const place = 2_400_000_000;
  await using server = await serve();
  const recorder = new Recorder();
  const transport = streamTransport({ clock: systemClock, failed: unplanned });
  const connection = await transport.connect(
    { host: "127.0.0.1", port: server.port },
    recorder,
    DEFAULT_CONNECT_OPTIONS,
  );
  new Uint8Array(memory.buffer, place, 300_000).set(pattern(300_000, 1));
  const far = () => new Uint8Array(memory.buffer, place, 300_000);
  await until(() => server.served.length === 1);
  server.served[0].connection.send([far()]);
  let taken = 0;
  connection.send([far().subarray(0, 10), far().subarray(10)], () => taken++);
  await until(() => recorder.messages.length === 2 && taken === 1, "both ways");
  for (const one of recorder.messages) assert.ok(sameBytes(one, pattern(300_000, 1)));
  connection.close(1000, "");
});

test("a build that does not load is a coded error that says what to do", async () => {
  const fails = async () => {
    throw new Error("GLIBC_2.38 not found");
  };
  const imports = { "uwebsockets-20": fails, "uwebsockets-24": fails };
  let said: { code?: string; message?: string } = {};
  try {
    await loadUWebSockets("22.1.0", imports);
  } catch (error) {
    said = error as Error;
  }
  assert.is(said.code, "UNSUPPORTED");
  assert.match(said.message!, /uwebsockets-24: GLIBC_2.38.*uwebsockets-20: GLIBC/);
  assert.match(said.message!, /Node 20 or 22/);
  const loaded = await loadUWebSockets("22.1.0", { ...imports, "uwebsockets-20": () => loadUWebSockets() });
  assert.type(loaded.App, "function");
});

test("a process whose listener was closed ends by itself, with its own exit code", () => {
  const script = `
    const { uWebSocketTransport } = await import("${new URL("../../lib/net/uwebsockets-transport.js", import.meta.url)}");
    const { DEFAULT_SOCKET_LIMITS } = await import("${new URL("../../lib/net/connection.js", import.meta.url)}");
    const { systemClock } = await import("${new URL("../../lib/base/clock.js", import.meta.url)}");
    const transport = uWebSocketTransport({ clock: systemClock, failed: (error) => { throw error; } });
    for (let i = 0; i < 2; i++) {
      const listener = await transport.listen({ host: "127.0.0.1", port: 0 }, DEFAULT_SOCKET_LIMITS, () => ({ message() {}, closed() {} }));
      await listener.close();
    }
    process.exitCode = 7;`;
  const { status, signal, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", script]);
  assert.equal([status, signal, String(stderr)], [7, null, ""]);
});

test.run();
