// What answers where a node is expected, and does not greet, or is another store than it was.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { connect, type EmbershardError } from "../../lib/index.js";
import { slotMapFrame } from "../../lib/node/slot-map-frame.js";
import { firstMap } from "../../lib/ring/placement.js";
import { FIRST_TERMS } from "../../lib/wire/frame.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { PROTOCOL } from "../../lib/wire/handshake.js";
import { RawServer, ws } from "../net/raw-peers.js";
import { until } from "../net/recorder.js";

/** Takes connections, and greets those that `store` has a name for. */
class Greeter {
  readonly port: number;
  /** Connections that are open, and those that there were. */
  open = 0;
  all = 0;
  readonly #server;

  private constructor(
    server: InstanceType<typeof ws.WebSocketServer>,
    store: () => string | undefined,
    shardPort?: number,
  ) {
    this.#server = server;
    this.port = server.address().port;
    const owners = [{ name: "node", shards: 1, host: "127.0.0.1", port: (shardPort ?? this.port) - 1 }];
    server.on("connection", (socket) => {
      this.open++;
      this.all++;
      socket.on("close", () => this.open--);
      socket.on("message", (data) => {
        const { id, body } = readFrame(data, FIRST_TERMS);
        const name = store();
        if (body.kind !== "Hello" || name === undefined) return;
        const limits = {
          frameBytes: 1 << 20,
          inFlightBytes: 1 << 20,
          inFlight: 8,
          keys: 8,
          markBytes: 8,
          parts: 8,
        };
        const slotMap = slotMapFrame(firstMap(owners));
        const who = { node: "node", shard: 0, store: name };
        const welcome = { kind: "Welcome", ...PROTOCOL, ...who, limits, slotMap } as const;
        socket.send(new FrameWriter().write({ id, body: welcome }).toBytes());
      });
    });
  }

  /** Says that the only shard listens on `shardPort`; unless given, where it does itself. */
  static async begin(store: () => string | undefined, shardPort?: number): Promise<Greeter> {
    const server = new ws.WebSocketServer({ port: 0, host: "127.0.0.1" });
    await new Promise<void>((resolve) => server.on("listening", resolve));
    return new Greeter(server, store, shardPort);
  }

  get address(): string {
    return `ember://127.0.0.1:${this.port}`;
  }

  end(): void {
    this.#server.close();
  }
}

const failureOf = (promise: Promise<unknown>) =>
  promise.then(
    () => assert.unreachable("it did not fail"),
    (error: EmbershardError) => error,
  );

const test = suite("greeting");

test("who does not greet in time is not waited for, and keeps no connection", async () => {
  const greeter = await Greeter.begin(() => undefined);
  const began = performance.now();
  const error = await failureOf(connect(greeter.address, { connectMs: 100, deadlineMs: 300 }));
  assert.is(error?.code, "UNAVAILABLE");
  assert.match(error!.message, "did not answer the greeting within 100 ms");
  assert.ok(performance.now() - began < 3000);
  assert.ok(greeter.all > 1, "it was tried again");
  await until(() => greeter.open === 0);
  greeter.end();
});

test("who answers what is no frame is named", async () => {
  const server = new ws.WebSocketServer({ port: 0, host: "127.0.0.1" });
  await new Promise<void>((resolve) => server.on("listening", resolve));
  server.on("connection", (socket) => socket.on("message", () => socket.send(Buffer.from("hello"))));
  const { port } = server.address();
  const error = await failureOf(connect(`ember://127.0.0.1:${port}`));
  assert.is(error?.code, "BAD_FRAME");
  assert.match(error!.message, `node at 127.0.0.1:${port}: a message is no frame`);
  server.close();
});

test("a store that is closed while a shard does not greet keeps no connection", async () => {
  let greeted = 0;
  const greeter = await Greeter.begin(() => (greeted++ === 0 ? "a" : undefined));
  const store = await connect(greeter.address, { deadlineMs: 100 });
  const error = await failureOf(store.table("items"));
  assert.is(error?.code, "DEADLINE");
  assert.is(greeter.open, 2);
  await store.close();
  await until(() => greeter.open === 0);
  greeter.end();
});

test("a store that is closed while a shard does not accept does not wait for it", async () => {
  const mute = await RawServer.open(() => "");
  const greeter = await Greeter.begin(() => "a", mute.port);
  const store = await connect(greeter.address);
  const failed = failureOf(store.table("items"));
  await until(() => mute.sockets.length === 1);
  const began = performance.now();
  await store.close();
  assert.is((await failed)?.code, "CLOSED");
  await until(() => mute.sockets[0].destroyed);
  assert.ok(performance.now() - began < 3000);
  await mute.close();
  greeter.end();
});

test("calls to a store that has become another keep no connections", async () => {
  let name = "a";
  const greeter = await Greeter.begin(() => name);
  const store = await connect(greeter.address);
  name = "b";
  for (let i = 0; i < 5; i++) assert.is((await failureOf(store.table("items")))?.code, "PROTOCOL");
  assert.is(greeter.all, 6);
  await until(() => greeter.open === 1);
  await store.close();
  await until(() => greeter.open === 0);
  greeter.end();
});

test.run();
