// The client against servers that are not ours: the `ws` package, and servers that break rules or say nothing.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { systemClock } from "../../lib/base/clock.js";
import type { EmbershardError } from "../../lib/base/errors.js";
import { type ConnectOptions, DEFAULT_CONNECT_OPTIONS } from "../../lib/net/connection.js";
import { streamTransport } from "../../lib/net/stream-transport.js";
import { acceptOf, frame, RawServer, switching, ws } from "./raw-peers.js";
import { pattern, Recorder, sameBytes, until } from "./recorder.js";
import { TcpProxy } from "./tcp-proxy.js";
import { VirtualClock } from "./virtual-clock.js";

const unplanned = (error: unknown) => {
  throw error;
};

const connect = (
  port: number,
  recorder: Recorder,
  options: Partial<ConnectOptions> = {},
  clock = new VirtualClock() as typeof systemClock,
) =>
  streamTransport({ clock, failed: unplanned }).connect({ host: "127.0.0.1", port }, recorder, {
    ...DEFAULT_CONNECT_OPTIONS,
    ...options,
  });

async function failureOf(promise: Promise<unknown>): Promise<EmbershardError> {
  try {
    await promise;
  } catch (error) {
    return error as EmbershardError;
  }
  throw new Error("nothing failed");
}

test("the `ws` server is understood and understands, with either mask", async () => {
  const server = new ws.WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise<void>((resolve) => server.on("listening", resolve));
  const pongs: string[] = [];
  let closed: { code: number; reason: string } | undefined;
  server.on("connection", (socket) => {
    socket.on("message", (data, isBinary) => {
      assert.ok(isBinary);
      socket.ping(Buffer.from("how are you"));
      // Back in three frames, which the client puts together.
      const third = Math.floor(data.length / 3);
      socket.send(data.subarray(0, third), { fin: false });
      socket.send(data.subarray(third, 2 * third), { fin: false });
      socket.send(data.subarray(2 * third), { fin: true });
    });
    socket.on("pong", (data) => pongs.push(String(data)));
    socket.on("close", (code, reason) => {
      closed = { code, reason: String(reason) };
    });
  });
  for (const mask of ["zero", "random"] as const) {
    const recorder = new Recorder();
    pongs.length = 0;
    const connection = await connect(server.address().port, recorder, { mask });
    const sizes = [0, 1, 2, 125, 126, 65_535, 65_536, 1 << 20];
    for (const [i, size] of sizes.entries()) {
      const message = pattern(size, i);
      if (i % 2) connection.send([message]);
      else connection.send([message.subarray(0, 3), message.subarray(3)], () => undefined);
      await until(() => recorder.messages.length === i + 1, `${size} bytes`);
      assert.ok(sameBytes(recorder.messages[i], message), `${size} bytes`);
    }
    await until(() => pongs.length === sizes.length, "all pings are answered");
    assert.ok(pongs.every((text) => text === "how are you"));
    connection.close(4001, "that is all");
    await until(() => recorder.closedWith !== undefined && closed !== undefined, "closed");
    assert.equal(closed, { code: 4001, reason: "that is all" });
    assert.is(recorder.closedWith!.code, 4001);
    closed = undefined;
  }
  server.close();
});

test("answers that are no upgrade are refused with a reason", async () => {
  const answers: readonly [string, RegExp, (key: string) => string][] = [
    ["PROTOCOL", /SSH-/, () => "SSH-2.0-OpenSSH_9.2\r\n"],
    ["PROTOCOL", /answers with/, () => "HTTP/2 101 Switching\r\n\r\n"],
    ["PROTOCOL", /more than 8192/, () => `HTTP/1.1 101 ${"x".repeat(9000)}`],
    ["PROTOCOL", /Accept/, () => switching("another key")],
    ["PROTOCOL", /Accept/, (key) => switching(key).replace(/Sec-WebSocket-Accept: .*\r\n/, "")],
    ["PROTOCOL", /upgrade/, (key) => switching(key).replace("Upgrade: websocket\r\n", "")],
    ["PROTOCOL", /Connection/, (key) => switching(key).replace("Connection: Upgrade", "Connection: close")],
    ["PROTOCOL", /extension/, (key) => switching(key, ["Sec-WebSocket-Extensions: permessage-deflate"])],
    ["PROTOCOL", /header/, (key) => switching(key, ["nonsense"])],
    ["UNAVAILABLE", /503 Busy \(later\)/, () => "HTTP/1.1 503 Busy\r\nContent-Length: 5\r\n\r\nlater"],
    ["UNAVAILABLE", /302/, () => "HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n"],
  ];
  for (const [code, message, answer] of answers) {
    const server = await RawServer.open(answer);
    const error = await failureOf(connect(server.port, new Recorder()));
    assert.is(error.code, code, String(message));
    assert.match(error.message, message);
    await until(() => server.sockets.every(({ destroyed }) => destroyed), "it lets go of the socket");
    await server.close();
  }
  const closed = await RawServer.open();
  const { port } = closed;
  await closed.close();
  const error = await failureOf(connect(port, new Recorder()));
  assert.is(error.code, "UNAVAILABLE");
  assert.match(error.message, /ECONNREFUSED/);
});

test("an upgrade in other words, and messages that come with it, are understood", async () => {
  const first = Buffer.concat([frame(0x82, pattern(9, 1)), frame(0x82, pattern(300, 2))]);
  const server = await RawServer.open((key) =>
    Buffer.concat([
      Buffer.from(
        `HTTP/1.1 101\r\nUPGRADE:WebSocket\r\nconnection: keep-alive, upgrade\r\nsec-websocket-accept:  ${acceptOf(key)}\r\n\r\n`,
      ),
      first,
    ]),
  );
  const recorder = new Recorder();
  const connection = await connect(server.port, recorder);
  assert.is(recorder.messages.length, 0, "nothing comes before the connection is there");
  server.sockets[0].write(frame(0x82, pattern(7, 3)));
  await until(() => recorder.messages.length === 3, "all came, in order");
  assert.ok(
    sameBytes(
      Buffer.concat(recorder.messages),
      Buffer.concat([pattern(9, 1), pattern(300, 2), pattern(7, 3)]),
    ),
  );
  connection.terminate();
  await server.close();
});

test("what breaks RFC 6455 is answered with a close that says so", async () => {
  const server = await RawServer.open();
  const breaches: readonly [number, Uint8Array][] = [
    [1002, frame(0x82, pattern(5, 1), { masked: true })],
    [1002, frame(0x83, pattern(5, 1))],
    [1003, frame(0x81, Buffer.from("text"))],
    [1009, frame(0x82, pattern(5, 1), { length: 17 << 20 })],
  ];
  for (const [code, bytes] of breaches) {
    const recorder = new Recorder();
    server.received = Buffer.alloc(0);
    await connect(server.port, recorder);
    server.sockets.at(-1)!.write(bytes);
    await until(() => recorder.closedWith !== undefined, String(code));
    assert.is(recorder.closedWith!.code, code);
    assert.is(recorder.messages.length, 0);
    assert.is(server.received[0], 0x88);
    assert.is(server.received.readUInt16BE(6), code);
  }
  await server.close();
});

test("a server that accepts and says nothing is given up in time, before and after the upgrade", async () => {
  const clock = new VirtualClock();
  const mute = await RawServer.open(() => "HTTP/1.1 101 Swi");
  const attempt = failureOf(connect(mute.port, new Recorder(), { timeoutMs: 700 }, clock));
  await until(() => mute.sockets.length === 1);
  await clock.pass(701);
  assert.is((await attempt).code, "DEADLINE");
  await mute.close();

  const server = await RawServer.open();
  const recorder = new Recorder();
  await connect(server.port, recorder, { silenceMs: 4000 }, clock);
  await clock.pass(2100);
  await until(() => server.received.length === 6 && server.received[0] === 0x89, "it asks");
  server.sockets[0].write(frame(0x8a, new Uint8Array(0)));
  server.sockets[0].write(frame(0x89, new Uint8Array(0)));
  await until(() => server.received.length === 12, "and has the answer");
  await clock.pass(3000);
  assert.is(recorder.closedWith, undefined);
  await clock.pass(2000);
  await until(() => recorder.closedWith !== undefined, "then gives up");
  assert.equal(recorder.closedWith, { code: 1006, reason: "nothing came for 4000 ms" });
  await server.close();
});

test("a server that does not answer a close is dropped", async () => {
  const clock = new VirtualClock();
  const server = await RawServer.open();
  const recorder = new Recorder();
  const connection = await connect(server.port, recorder, {}, clock);
  connection.close(1000, "");
  await until(() => server.received.length > 0, "the close is sent");
  await clock.pass(2001);
  await until(() => recorder.closedWith !== undefined, "dropped");
  assert.is(recorder.closedWith!.code, 1006);
  await server.close();
});

test("through a proxy: cut in the middle of a frame, one direction only, black hole, delay", async () => {
  const server = new ws.WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise<void>((resolve) => server.on("listening", resolve));
  let heard = 0;
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      heard++;
      socket.send(data);
    });
    socket.on("error", () => undefined);
  });
  const proxy = await TcpProxy.open({ host: "127.0.0.1", port: server.address().port });

  const target = new Uint8Array(100_000);
  const recorder = new Recorder((front, total) => [target.subarray(0, total - front.length)]);
  const connection = await connect(proxy.port, recorder);
  const message = new Uint8Array(100_000).fill(7);
  proxy.cutAfter("toClient", 50_000);
  connection.send([message], () => undefined);
  await until(() => recorder.closedWith !== undefined, "it is cut");
  assert.is(recorder.closedWith!.code, 1006);
  assert.is(recorder.fills, 0);
  assert.is(target.filter((one) => one === 7).length, 50_000 - 10 - DEFAULT_CONNECT_OPTIONS.frontBytes);
  assert.is(proxy.connections, 0);
  proxy.cutAfter("toClient", Number.POSITIVE_INFINITY);

  const held = new Recorder();
  const through = await connect(proxy.port, held);
  proxy.hold("toClient");
  heard = 0;
  through.send([message]);
  await until(() => heard === 1, "the server hears");
  assert.is(held.messages.length, 0);
  proxy.hold("toServer", "toClient");
  through.send([message]);
  proxy.delayMs = 1;
  proxy.hold();
  await until(() => held.messages.length === 2, "all arrives when the way is free");
  assert.ok(held.messages.every((one) => sameBytes(one, message)));
  proxy.delayMs = 0;
  proxy.cut();
  await until(() => held.closedWith !== undefined, "cut");
  proxy.refuses = true;
  assert.is((await failureOf(connect(proxy.port, new Recorder()))).code, "UNAVAILABLE");
  await proxy.close();
  server.close();
});

test.run();
