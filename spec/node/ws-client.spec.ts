// A client that has nothing of Embershard's: the `ws` package, FlatBuffers' own builder, and what flatc makes of the schema.
import { once } from "node:events";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Builder, ByteBuffer, type Offset } from "flatbuffers";
import * as assert from "uvu/assert";
import { Body } from "../wire/generated/body.js";
import { Failure } from "../wire/generated/failure.js";
import { Frame } from "../wire/generated/frame.js";
import { Hello } from "../wire/generated/hello.js";
import { OpenTable } from "../wire/generated/open-table.js";
import { Pull } from "../wire/generated/pull.js";
import { PullPart } from "../wire/generated/pull-part.js";
import { Push } from "../wire/generated/push.js";
import { Rows } from "../wire/generated/rows.js";
import { TableReply } from "../wire/generated/table-reply.js";
import { Welcome } from "../wire/generated/welcome.js";
import { Write } from "../wire/generated/write.js";
import { WritePart } from "../wire/generated/write-part.js";
import { nodeSuite, serve } from "./node-suite.js";

/** What is used of the `ws` package, which has no types of its own. */
interface WebSocketClient {
  binaryType: string;
  on(event: string, listener: (...args: never[]) => void): void;
  once(event: string, listener: (...args: never[]) => void): void;
  send(bytes: Uint8Array): void;
  terminate(): void;
}
const { WebSocket } = createRequire(import.meta.url)("ws") as {
  WebSocket: new (url: string) => WebSocketClient;
};

const test = nodeSuite("ws client");

/** A connection that asks one thing at a time. */
class PlainClient {
  readonly #socket: WebSocketClient;
  #id = 0;
  epoch = 0n;

  private constructor(socket: WebSocketClient) {
    this.#socket = socket;
  }

  static async open(port: number): Promise<PlainClient> {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`);
    await once(socket as never, "open");
    return new PlainClient(socket);
  }

  /** Sends a frame with one body, and gives the answer. */
  async ask(type: Body, build: (builder: Builder) => Offset): Promise<Frame> {
    const builder = new Builder(1024);
    const body = build(builder);
    Frame.startFrame(builder);
    Frame.addId(builder, ++this.#id);
    Frame.addEpoch(builder, this.epoch);
    Frame.addBodyType(builder, type);
    Frame.addBody(builder, body);
    Frame.finishFrameBuffer(builder, Frame.endFrame(builder));
    this.#socket.send(builder.asUint8Array());
    const [data] = (await once(this.#socket as never, "message")) as [Uint8Array];
    const frame = Frame.getRootAsFrame(new ByteBuffer(new Uint8Array(data)));
    assert.is(frame.id(), this.#id);
    if (frame.bodyType() === Body.Failure) throw new Error((frame.body(new Failure()) as Failure).message()!);
    return frame;
  }

  close(): void {
    this.#socket.terminate();
  }
}

/** A vector of bytes or keys, begun with the alignment of its elements. */
function bulk(builder: Builder, array: BigUint64Array | Uint8Array): Offset {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  builder.startVector(array.BYTES_PER_ELEMENT, array.length, 8);
  for (let i = bytes.length - 1; i >= 0; i--) builder.writeInt8(bytes[i]);
  return builder.endVector();
}

const bytesOf = (array: Float32Array) => new Uint8Array(array.buffer, array.byteOffset, array.byteLength);

test("it is greeted, learns the map, opens a table, pushes and pulls", async (context) => {
  const node = await serve(context, [
    "--dir",
    join(context.directory, "m"),
    "--listen",
    "127.0.0.1:0",
    "--no-supervise",
  ]);
  const { listen } = await node.started();
  const hello = (builder: Builder) => {
    Hello.startHello(builder);
    Hello.addMajor(builder, 1);
    return Hello.endHello(builder);
  };
  const control = await PlainClient.open(Number(listen.split(":")[1]));
  const welcome = (await control.ask(Body.Hello, hello)).body(new Welcome()) as Welcome;
  assert.is(welcome.shard(), null, "a control port");
  const map = welcome.slotMap()!;
  assert.is(map.ownersLength(), 1);
  assert.equal([...map.runsArray()!], [0, 16_383]);
  control.close();

  const shard = await PlainClient.open(map.owners(0)!.port());
  const greeted = (await shard.ask(Body.Hello, hello)).body(new Welcome()) as Welcome;
  assert.is(greeted.shard(), 0);
  shard.epoch = greeted.slotMap()!.epoch();
  const reply = await shard.ask(Body.OpenTable, (builder) => {
    const name = builder.createString("items");
    const options = builder.createString(
      JSON.stringify({
        dim: 2,
        optimizer: {
          kind: "sgd",
          learningRate: 0.5,
          momentum: 0,
          nesterov: false,
          decay: 0,
          decayKind: "l2",
        },
      }),
    );
    return OpenTable.createOpenTable(builder, name, false, options);
  });
  const table = reply.body(new TableReply()) as TableReply;
  assert.is(table.dim(), 2);

  const keys = BigUint64Array.of(7n, 2n ** 64n - 1n);
  await shard.ask(Body.Push, (builder) => {
    const data = bulk(builder, bytesOf(Float32Array.of(1, 2, 3, 4)));
    const keyVector = bulk(builder, keys);
    WritePart.startWritePart(builder);
    WritePart.addTable(builder, table.id());
    WritePart.addFingerprint(builder, table.fingerprint());
    WritePart.addCount(builder, 2);
    WritePart.addDim(builder, 2);
    const parts = Push.createPartsVector(builder, [WritePart.endWritePart(builder)]);
    Write.startWrite(builder);
    const write = Write.endWrite(builder);
    return Push.createPush(builder, write, parts, keyVector, data);
  });
  const frame = await shard.ask(Body.Pull, (builder) => {
    const keyVector = bulk(builder, keys);
    PullPart.startPullPart(builder);
    PullPart.addTable(builder, table.id());
    PullPart.addFingerprint(builder, table.fingerprint());
    PullPart.addCount(builder, 2);
    const parts = Pull.createPartsVector(builder, [PullPart.endPullPart(builder)]);
    return Pull.createPull(builder, parts, 0n, true, keyVector);
  });
  const rows = frame.body(new Rows()) as Rows;
  const data = rows.dataArray()!.slice();
  assert.equal(new Float32Array(data.buffer), Float32Array.of(-0.5, -1, -1.5, -2));
  assert.equal([...rows.foundArray()!], [0b11]);
  shard.close();
  assert.is(await node.stop(), 0, node.err);
});

test.run();
