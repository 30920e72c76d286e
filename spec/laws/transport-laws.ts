// Laws of transports: what a client and a server over them may count on, whatever lies between.
import * as assert from "uvu/assert";
import type { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import {
  type Accept,
  type ConnectOptions,
  DEFAULT_CONNECT_OPTIONS,
  DEFAULT_SOCKET_LIMITS,
  type Listener,
  type Receiver,
  type SocketLimits,
  type Transport,
} from "../../lib/net/connection.js";
import { pattern, Recorder, sameBytes } from "../net/recorder.js";

export interface TransportFixture {
  readonly transport: Transport;
  /** A port to listen on: 0 where the system chooses one. */
  readonly port: number;
  /** Runs what there is to run until `condition` holds, and fails when it does not come to hold. */
  until(condition: () => boolean, what?: string): Promise<void>;
  /** Lets everything happen that happens by itself. */
  settle(): Promise<void>;
}

export type TransportLaw = (name: string, body: (fixture: TransportFixture) => Promise<void>) => void;

const host = "127.0.0.1";
const limitBytes = 1 << 20;

export function transportLaws(law: TransportLaw): void {
  law("messages of all sizes arrive whole, in order, both ways", async (fixture) => {
    await using bench = await Bench.open(fixture, {}, echo);
    const { connection, recorder } = await bench.connect();
    const sizes = [0, 1, 7, 8, 125, 126, 127, 128, 65_535, 65_536, 65_537, limitBytes - 1, limitBytes];
    for (const [i, size] of sizes.entries()) connection.send([pattern(size, i)]);
    await fixture.until(() => recorder.messages.length === sizes.length, "all came back");
    for (const [i, size] of sizes.entries())
      assert.ok(sameBytes(recorder.messages[i], pattern(size, i)), `${size} bytes`);
    assert.is(recorder.closedWith, undefined);
  });

  law("a message of parts is one message, and the parts are free when the law says", async (fixture) => {
    await using bench = await Bench.open(fixture);
    const { connection, recorder } = await bench.connect();
    const server = bench.served[0];
    const random = new Prng(7);
    const ends = [
      { from: connection, to: server.recorder },
      { from: server.connection, to: recorder },
    ];
    for (const { from, to } of ends) {
      for (let round = 0; round < 12; round++) {
        const parts = Array.from({ length: random.below(5) }, (_, i) =>
          pattern(random.below(round % 3 === 0 ? 200_000 : 300), 10 * round + i),
        );
        const expected = Buffer.concat(parts);
        if (round % 2 === 0) {
          from.send(parts);
          for (const part of parts) part.fill(0xee);
        } else {
          let taken = 0;
          from.send(parts, () => {
            taken++;
            for (const part of parts) part.fill(0xee);
          });
          await fixture.until(() => taken > 0, "the parts are given back");
          assert.is(taken, 1);
        }
        await fixture.until(() => to.messages.length === round + 1, "it arrives");
        assert.ok(sameBytes(to.messages[round], expected), `round ${round}`);
      }
    }
  });

  law("a message over the limit ends its connection, either way, and is never delivered", async (fixture) => {
    await using bench = await Bench.open(fixture);
    const first = await bench.connect();
    first.connection.send([pattern(limitBytes + 1, 1)]);
    await fixture.until(() => first.recorder.closedWith !== undefined, "the client hears of it");
    await fixture.until(() => bench.served[0].recorder.closedWith !== undefined, "and the server");
    assert.is(bench.served[0].recorder.messages.length, 0);
    const second = await bench.connect();
    bench.served[1].connection.send([pattern(limitBytes + 1, 1)]);
    await fixture.until(() => second.recorder.closedWith !== undefined, "the client hears of it");
    assert.is(second.recorder.closedWith!.code, 1009);
    assert.is(second.recorder.messages.length, 0);
    await fixture.until(() => bench.served[1].recorder.closedWith !== undefined, "and the server");
  });

  law("a close says code and reason to both ends, after all that was sent", async (fixture) => {
    await using bench = await Bench.open(fixture);
    const sent = [pattern(300_000, 1), pattern(10, 2), pattern(700_000, 3)];
    const ways = ["client", "server"] as const;
    for (const [i, way] of ways.entries()) {
      const { connection, recorder } = await bench.connect();
      const server = bench.served[i];
      const [from, other] = way === "client" ? [connection, server.recorder] : [server.connection, recorder];
      for (const one of sent) from.send([one]);
      from.close(4000 + i, `it is over, ${way}`);
      from.send([pattern(5, 5)]);
      await fixture.until(() => !!recorder.closedWith && !!server.recorder.closedWith, "both hear of it");
      assert.equal(other.closedWith, { code: 4000 + i, reason: `it is over, ${way}` });
      assert.is((way === "client" ? recorder : server.recorder).closedWith!.code, 4000 + i);
      assert.is(other.messages.length, 3);
      for (const [j, one] of sent.entries()) assert.ok(sameBytes(other.messages[j], one));
    }
  });

  law("an end without a word is 1006 at both ends, once, and what follows does nothing", async (fixture) => {
    await using bench = await Bench.open(fixture);
    for (const way of [0, 1]) {
      const { connection, recorder } = await bench.connect();
      const server = bench.served[way];
      const ended = way === 0 ? connection : server.connection;
      ended.terminate();
      assert.is(recorder.closedWith, undefined, "not from within the call");
      assert.is(server.recorder.closedWith, undefined, "not from within the call");
      await fixture.until(() => !!recorder.closedWith && !!server.recorder.closedWith, "both hear of it");
      assert.is(recorder.closedWith!.code, 1006);
      assert.is(server.recorder.closedWith!.code, 1006);
      let taken = 0;
      for (const one of [connection, server.connection]) {
        one.send([pattern(10, 1)]);
        one.send([pattern(100_000, 1)], () => taken++);
        one.close(1000, "");
        one.terminate();
        assert.is(one.waitingBytes, 0);
      }
      assert.is(taken, 2);
      await fixture.settle();
    }
  });

  law("bytes that wait are counted, and drained when they have gone", async (fixture) => {
    await using bench = await Bench.open(fixture, { waitingBytes: 64 << 20 });
    const { connection, recorder } = await bench.connect();
    const server = bench.served[0];
    const ends = [
      { from: connection, by: recorder, to: server.recorder },
      { from: server.connection, by: server.recorder, to: recorder },
    ];
    for (const { from, by, to } of ends) {
      for (let i = 0; i < 24; i++) from.send([pattern(limitBytes, i)]);
      assert.ok(from.waitingBytes > 0, "24 MiB are more than the system takes at once");
      assert.is(by.drains, 0);
      await fixture.until(() => by.drains === 1, "drained");
      assert.is(from.waitingBytes, 0);
      await fixture.until(() => to.messages.length === 24, "arrived");
      for (const [i, one] of to.messages.entries()) assert.ok(sameBytes(one, pattern(limitBytes, i)));
    }
  });

  law("small messages behind large ones keep their bytes while they wait", async (fixture) => {
    await using bench = await Bench.open(fixture);
    const { connection, recorder } = await bench.connect();
    const server = bench.served[0];
    for (const { from, to } of [
      { from: connection, to: server.recorder },
      { from: server.connection, to: recorder },
    ]) {
      const large = pattern(limitBytes, 1);
      for (let i = 0; i < 12; i++) from.send([large], () => undefined);
      for (let i = 0; i < 100; i++) from.send([pattern(50 + 20 * i, i)]);
      await fixture.until(() => to.messages.length === 112, "all arrive");
      for (let i = 0; i < 100; i++)
        assert.ok(sameBytes(to.messages[12 + i], pattern(50 + 20 * i, i)), `${i}`);
    }
  });

  law("the rest of a message goes where its front says", async (fixture) => {
    await using bench = await Bench.open(fixture);
    const random = new Prng(11);
    const expected: Uint8Array[] = [];
    const results: { front: Uint8Array; targets: readonly Uint8Array[] }[] = [];
    const recorder = new Recorder((front, total) => {
      const way = front[0] % 4;
      if (way === 0) return undefined;
      const wanted = Math.min(total, 64 + front[1] * 20);
      if (front.length < wanted) return wanted;
      const rest = total - front.length;
      const cut = way === 1 ? rest : Math.floor((rest * front[2]) / 255);
      const targets = way === 3 ? [cut, 0, rest - cut] : way === 2 ? [0, cut, rest - cut] : [rest];
      results.push({ front: front.slice(), targets: targets.map((length) => new Uint8Array(length)) });
      return results[results.length - 1].targets;
    });
    await bench.connect({ frontBytes: 16 }, recorder);
    const { connection } = bench.served[0];
    for (let i = 0; i < 60; i++) {
      const size =
        i % 5 === 0 ? 200_000 + random.below(600_000) : i % 2 === 0 ? random.below(40) : random.below(6000);
      const message = pattern(size, i);
      expected.push(message.slice());
      connection.send([message]);
    }
    await fixture.until(() => recorder.messages.length + recorder.fills === 60, "all arrived");
    const whole = recorder.messages.values();
    const scattered = results.values();
    for (const message of expected) {
      if (message.length <= 16 || message[0] % 4 === 0) {
        assert.ok(sameBytes(whole.next().value!, message));
      } else {
        const { front, targets } = scattered.next().value!;
        assert.ok(sameBytes(Buffer.concat([front, ...targets]), message));
      }
    }
    assert.is(recorder.fills, results.length);
  });

  law("many connections do not hear each other's messages", async (fixture) => {
    await using bench = await Bench.open(fixture, {}, echo);
    const clients = await Promise.all(Array.from({ length: 40 }, () => bench.connect()));
    assert.is(bench.listener.connections, 40);
    for (let round = 0; round < 5; round++)
      for (const [i, { connection }] of clients.entries()) connection.send([pattern(100 * i + round, i)]);
    await fixture.until(
      () => clients.every(({ recorder }) => recorder.messages.length === 5),
      "all came back",
    );
    for (const [i, { recorder }] of clients.entries())
      for (const [round, one] of recorder.messages.entries())
        assert.ok(sameBytes(one, pattern(100 * i + round, i)));
    for (const { connection } of clients) connection.close(1000, "");
    await fixture.until(() => bench.listener.connections === 0, "all closed");
  });

  law("the path of a connection is told, and a closed listener closes all with 1001", async (fixture) => {
    await using bench = await Bench.open(fixture);
    const clients = [await bench.connect({ path: "/a/b?c=d" }), await bench.connect()];
    assert.equal(
      bench.served.map(({ path }) => path),
      ["/a/b", "/"],
    );
    clients[1].connection.send([pattern(9, 9)]);
    await fixture.until(() => bench.served[1].recorder.messages.length === 1);
    const closing = bench.listener.close();
    await fixture.until(
      () => clients.every(({ recorder }) => recorder.closedWith !== undefined),
      "all closed",
    );
    await closing;
    for (const { recorder } of clients) assert.is(recorder.closedWith!.code, 1001);
    assert.is(await codeOfFailure(bench.connect()), "UNAVAILABLE");
    await bench.listener.close();
  });

  law("connections over a limit are refused while others go on", async (fixture) => {
    await using bench = await Bench.open(fixture, { connections: 3, connectionsPerAddress: 2 }, echo);
    const first = await bench.connect();
    await bench.connect();
    assert.is(await codeOfFailure(bench.connect()), "UNAVAILABLE");
    first.connection.send([pattern(50, 3)]);
    await fixture.until(() => first.recorder.messages.length === 1);
    first.connection.close(1000, "");
    await fixture.until(() => bench.listener.connections === 1, "one has left");
    await bench.connect();
  });

  law("bad options and addresses are refused before anything happens", async (fixture) => {
    const { transport } = fixture;
    const accept: Accept = () => new Recorder();
    const at = { host, port: fixture.port };
    const limits = { ...DEFAULT_SOCKET_LIMITS, connections: 8 };
    for (const wrong of [
      { messageBytes: 0 },
      { messageBytes: 2 ** 31 },
      { waitingBytes: 1.5 },
      { idleSeconds: 7 },
      { idleSeconds: 961 },
      { lifetimeMinutes: 241 },
      { handshakeMs: 0 },
      { connections: -1 },
      { readerMs: Number.NaN },
    ]) {
      const failure = transport.listen(at, { ...limits, ...wrong }, accept);
      assert.is(await codeOfFailure(failure), "INVALID_OPTIONS", JSON.stringify(wrong));
    }
    for (const wrong of [{ host: "" }, { host: "a b" }, { port: -1 }, { port: 65_536 }])
      assert.is(
        await codeOfFailure(transport.listen({ ...at, ...wrong }, limits, accept)),
        "INVALID_OPTIONS",
      );
    for (const wrong of [
      { frontBytes: 0 },
      { path: "a" },
      { path: "/a b" },
      { timeoutMs: 0 },
      { mask: "none" as "zero" },
      { polling: "always" as "auto" },
    ]) {
      const options = { ...DEFAULT_CONNECT_OPTIONS, ...wrong };
      const failure = transport.connect({ host, port: 1 }, new Recorder(), options);
      assert.is(await codeOfFailure(failure), "INVALID_OPTIONS", JSON.stringify(wrong));
    }
    await using bench = await Bench.open(fixture);
    const { connection } = await bench.connect();
    for (const code of [0, 999, 1004, 1005, 1006, 1014, 2999, 5000, 1000.5])
      assert.throws(
        () => connection.close(code, ""),
        (error: EmbershardError) => error.code === "INVALID_OPTIONS",
      );
    assert.throws(() => connection.close(1000, "x".repeat(124)), /123/);
  });

  law("a port is listened on once, and again after it was closed", async (fixture) => {
    const bench = await Bench.open(fixture);
    const at = { host, port: bench.listener.port };
    const again = fixture.transport.listen(at, DEFAULT_SOCKET_LIMITS, () => new Recorder());
    assert.is(await codeOfFailure(again), "UNAVAILABLE");
    await bench.listener.close();
    const second = await fixture.transport.listen(at, DEFAULT_SOCKET_LIMITS, () => new Recorder());
    assert.is(second.port, at.port);
    await second.close();
  });

  law("an attempt that was aborted rejects, before and during", async (fixture) => {
    await using bench = await Bench.open(fixture);
    assert.is(await codeOfFailure(bench.connect({ signal: AbortSignal.abort() })), "ABORTED");
    const controller = new AbortController();
    const attempt = bench.connect({ signal: controller.signal });
    controller.abort();
    assert.is(await codeOfFailure(attempt), "ABORTED");
  });

  law("a receiver that throws loses its connection, and no other", async (fixture) => {
    await using bench = await Bench.open(fixture, {}, (recorder) => {
      recorder.onMessage = (bytes) => {
        if (bytes[0] === pattern(8, 1)[0]) throw new Error("planned");
        recorder.connection!.send([bytes]);
      };
    });
    const [first, second] = [await bench.connect(), await bench.connect()];
    first.connection.send([pattern(8, 1)]);
    second.connection.send([pattern(8, 2)]);
    await fixture.until(() => !!first.recorder.closedWith && second.recorder.messages.length === 1);
    assert.is(first.recorder.closedWith!.code, 1011);
    assert.is(second.recorder.closedWith, undefined);
  });
}

const echo = (recorder: Recorder) => {
  recorder.onMessage = (bytes) => recorder.connection!.send([bytes]);
};

interface Served {
  readonly recorder: Recorder;
  readonly connection: NonNullable<Recorder["connection"]>;
  readonly path: string;
}

/** A listener, and what it was told. */
class Bench {
  readonly listener: Listener;
  readonly served: Served[];
  readonly #fixture: TransportFixture;

  private constructor(fixture: TransportFixture, listener: Listener, served: Served[]) {
    this.#fixture = fixture;
    this.listener = listener;
    this.served = served;
  }

  static async open(
    fixture: TransportFixture,
    limits: Partial<SocketLimits> = {},
    prepare?: (recorder: Recorder) => void,
  ): Promise<Bench> {
    const served: Served[] = [];
    const accept: Accept = (connection, { path }): Receiver => {
      const recorder = new Recorder();
      recorder.connection = connection;
      prepare?.(recorder);
      served.push({ recorder, connection, path });
      return recorder;
    };
    const all = { ...DEFAULT_SOCKET_LIMITS, messageBytes: limitBytes, ...limits };
    const listener = await fixture.transport.listen({ host, port: fixture.port }, all, accept);
    return new Bench(fixture, listener, served);
  }

  /** Resolves when both ends have the connection. */
  async connect(options: Partial<ConnectOptions> = {}, recorder = new Recorder()) {
    const all = { ...DEFAULT_CONNECT_OPTIONS, messageBytes: limitBytes, ...options };
    const connecting = this.#fixture.transport.connect({ host, port: this.listener.port }, recorder, all);
    let settled = false;
    const done = () => {
      settled = true;
    };
    connecting.then(done, done);
    await this.#fixture.until(() => settled, "the attempt to connect ends");
    const connection = await connecting;
    recorder.connection = connection;
    return { connection, recorder };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closing = this.listener.close();
    await this.#fixture.settle();
    await closing;
  }
}

async function codeOfFailure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return (error as EmbershardError).code;
  }
  return "nothing failed";
}
