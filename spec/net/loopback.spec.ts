// The network in memory obeys the laws of the real one, and goes wrong in the ways that TCP lets happen, and in no other.
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import {
  type Connection,
  DEFAULT_CONNECT_OPTIONS,
  DEFAULT_SOCKET_LIMITS,
  type SocketLimits,
} from "../../lib/net/connection.js";
import { LoopbackNetwork } from "../../lib/net/loopback.js";
import { transportLaws } from "../laws/transport-laws.js";
import { pattern, Recorder, sameBytes } from "./recorder.js";
import { VirtualClock } from "./virtual-clock.js";

const rethrow = (error: unknown) => {
  if ((error as Error).message !== "planned") throw error;
};

for (const [kind, faults] of Object.entries({
  "at once": {},
  "slow and uneven": { delayMs: [0, 20] as const, bytesPerMs: 100_000 },
})) {
  transportLaws((name, body) =>
    test(`${kind}: ${name}`, async () => {
      const clock = new VirtualClock();
      const network = new LoopbackNetwork({ clock, seed: 1, failed: rethrow });
      network.setFaults(faults);
      await body({
        transport: network.transport("127.0.0.1"),
        port: 0,
        until: (condition, what) => clock.until(condition, what),
        settle: () => clock.pass(100),
      });
    }),
  );
}

/** A node that counts, and workers that send numbers, each of a connection in order. */
async function world(seed: number, limits: Partial<SocketLimits> = {}, trace?: (line: string) => void) {
  const clock = new VirtualClock();
  const network = new LoopbackNetwork({ clock, seed, failed: rethrow, ...(trace && { trace }) });
  const served: { recorder: Recorder; connection: Connection }[] = [];
  await network
    .transport("node")
    .listen({ host: "node", port: 7400 }, { ...DEFAULT_SOCKET_LIMITS, ...limits }, (connection) => {
      const recorder = new Recorder();
      served.push({ recorder, connection });
      return recorder;
    });
  const connect = async (host: string, recorder: Recorder, options = {}) => {
    let outcome: { connection?: Connection; error?: EmbershardError } | undefined;
    network
      .transport(host)
      .connect({ host: "node", port: 7400 }, recorder, { ...DEFAULT_CONNECT_OPTIONS, ...options })
      .then(
        (connection) => {
          outcome = { connection };
        },
        (error) => {
          outcome = { error };
        },
      );
    await clock.until(() => outcome !== undefined, "the attempt ends");
    return outcome!;
  };
  return { clock, network, served, connect };
}

test("a cut connection has delivered the beginning of what was sent, and what was under way may come late", async () => {
  let late = 0;
  for (let seed = 0; seed < 150; seed++) {
    const { clock, network, served, connect } = await world(seed);
    network.setFaults({ delayMs: [0, 50], cut: 0.2 });
    const front = new Uint8Array(40);
    const recorder = new Recorder();
    const { connection } = await connect("worker", recorder);
    if (!connection) continue;
    for (let i = 0; i < 30 && !recorder.closedWith; i++) {
      connection.send([pattern(8 + i, i)]);
      await clock.pass(3);
    }
    const there = served[0].recorder;
    const counted = there.messages.length;
    const heardFirst = recorder.closedWith !== undefined && there.closedWith === undefined;
    // A second connection is made while the first may still deliver.
    network.setFaults({ cut: 0 });
    const again = new Recorder();
    const second = await connect("worker", again);
    second.connection!.send([front]);
    await clock.until(
      () => !!recorder.closedWith && !!there.closedWith && served[1].recorder.messages.length === 1,
    );
    for (const [i, one] of there.messages.entries())
      assert.ok(sameBytes(one, pattern(8 + i, i)), `${seed}: ${i}`);
    assert.is(recorder.closedWith!.code, 1006);
    if (heardFirst && there.messages.length > counted) late++;
  }
  assert.ok(late > 0, "a message of a connection that its sender had given up never came late");
});

test("a message that is cut within leaves its targets half full, and is never said to be whole", async () => {
  let torn = 0;
  for (let seed = 0; seed < 60; seed++) {
    const { clock, network, served, connect } = await world(seed);
    const target = new Uint8Array(5000);
    const recorder = new Recorder((front, total) => [target.subarray(0, total - front.length)]);
    await connect("worker", recorder, { frontBytes: 16 });
    network.setFaults({ cut: 1 });
    const sent = new Uint8Array(5000).fill(7);
    served[0].connection.send([sent]);
    await clock.until(() => recorder.closedWith !== undefined && served[0].recorder.closedWith !== undefined);
    const written = target.filter((byte) => byte === 7).length;
    if (recorder.fills === 1) assert.is(written, 4984);
    else if (written > 0 && written < 4984) torn++;
  }
  assert.ok(torn > 5, `${torn} of 60 were cut within`);
});

test("in a black hole each end gives up in its own time, and in one direction the other still speaks", async () => {
  const { clock, network, served, connect } = await world(3, { pingMs: 1000, answerMs: 4000 });
  const recorder = new Recorder();
  const { connection } = await connect("worker", recorder, { silenceMs: 3000 });
  network.setFaults({ blackHole: true }, "worker", "node");
  connection!.send([pattern(10, 1)]);
  served[0].connection.send([pattern(10, 2)]);
  await clock.pass(2900);
  assert.is(recorder.messages.length, 1);
  assert.is(served[0].recorder.messages.length, 0);
  assert.is(recorder.closedWith, undefined);
  await clock.pass(200);
  assert.is(recorder.closedWith!.code, 1006);
  assert.is(served[0].recorder.closedWith, undefined);
  const attempt = await connect("worker", new Recorder(), { timeoutMs: 500 });
  assert.is(attempt.error!.code, "DEADLINE");
  await clock.pass(2000);
  assert.is(served[0].recorder.closedWith!.code, 1006);
});

test("a black hole that ends in time has delayed everything and lost nothing", async () => {
  const { clock, network, served, connect } = await world(4);
  const recorder = new Recorder();
  const { connection } = await connect("worker", recorder);
  connection!.send([pattern(9, 9)]);
  await clock.pass(10);
  network.setFaults({ blackHole: true });
  for (let i = 0; i < 5; i++) connection!.send([pattern(10 + i, i)]);
  await clock.pass(50_000);
  assert.is(served[0].recorder.messages.length, 1);
  network.setFaults({ blackHole: false });
  await clock.pass(200_000);
  assert.is(served[0].recorder.messages.length, 6);
  assert.is(recorder.closedWith, undefined);
});

test("refusals, crashes and cuts are told to those who live", async () => {
  const { clock, network, served, connect } = await world(5);
  network.setFaults({ refuse: 1 }, "worker", "node");
  assert.is((await connect("worker", new Recorder())).error!.code, "UNAVAILABLE");
  network.setFaults({ refuse: 0 });
  const [first, second] = [new Recorder(), new Recorder()];
  await connect("worker", first);
  await connect("other", second);
  network.cutAll("worker");
  await clock.until(() => first.closedWith !== undefined && served[0].recorder.closedWith !== undefined);
  assert.is(second.closedWith, undefined);
  network.crash("node");
  await clock.until(() => second.closedWith !== undefined);
  await clock.pass(1000);
  assert.is(served[1].recorder.closedWith, undefined, "the dead hear nothing");
  assert.is((await connect("other", new Recorder())).error!.code, "UNAVAILABLE");
});

test("a machine that is gone silently stays gone, whatever becomes of the way to it", async () => {
  const { clock, network, connect } = await world(6);
  const recorder = new Recorder();
  await connect("worker", recorder, { silenceMs: 8000 });
  network.setFaults({ blackHole: true }, "worker", "node");
  network.crash("node", true);
  network.setFaults({ blackHole: false }, "worker", "node");
  await clock.pass(8100);
  assert.is(recorder.closedWith?.code, 1006);
});

test("a machine that is gone silently is noticed by silence", async () => {
  const { clock, network, connect } = await world(6);
  const recorder = new Recorder();
  await connect("worker", recorder, { silenceMs: 8000 });
  network.crash("node", true);
  await clock.pass(7900);
  assert.is(recorder.closedWith, undefined);
  await clock.pass(200);
  assert.is(recorder.closedWith!.code, 1006);
});

test("a connection without a first message is closed, and a reader that lags too far behind is dropped", async () => {
  const { clock, network, served, connect } = await world(7, { handshakeMs: 700, waitingBytes: 2 << 20 });
  const [silent, slow] = [new Recorder(), new Recorder()];
  await connect("worker", silent);
  const { connection } = await connect("worker", slow);
  connection!.send([pattern(5, 5)]);
  await clock.pass(800);
  assert.is(silent.closedWith!.code, 1008);
  assert.is(slow.closedWith, undefined);
  network.setFaults({ bytesPerMs: 10 });
  for (let i = 0; i < 4; i++) served[1].connection.send([pattern(1 << 20, i)]);
  await clock.until(() => slow.closedWith !== undefined);
  assert.is(slow.closedWith!.code, 1006);
});

test("the same seed gives the same run, and another one another", async () => {
  const run = async (seed: number) => {
    const lines: string[] = [];
    const { clock, network, served, connect } = await world(seed, {}, (line) => lines.push(line));
    network.setFaults({ delayMs: [1, 30], cut: 0.05, refuse: 0.1 });
    const random = new Prng(9);
    for (let round = 0; round < 8; round++) {
      const recorder = new Recorder();
      const { connection } = await connect(`worker-${round % 3}`, recorder);
      for (let i = 0; connection && i < 20; i++) {
        connection.send([pattern(random.below(3000), i)], () => undefined);
        served.at(-1)?.connection.send([pattern(random.below(3000), i)]);
        await clock.pass(2);
      }
    }
    await clock.pass(1000);
    return lines;
  };
  const first = await run(21);
  assert.ok(first.length > 200, `${first.length} lines`);
  assert.ok(
    first.some((line) => line.includes("cut within")),
    "a line tells of a cut",
  );
  assert.equal(await run(21), first);
  assert.not.equal(await run(22), first);
});

test("bytes that were lent are not there any more afterwards", async () => {
  const { clock, served, connect } = await world(8);
  const kept: Uint8Array[] = [];
  const recorder = new Recorder();
  recorder.onMessage = (bytes) => kept.push(bytes);
  await connect("worker", recorder);
  served[0].connection.send([pattern(16, 1)]);
  await clock.until(() => recorder.messages.length === 1);
  assert.not.ok(sameBytes(kept[0], pattern(16, 1)));
});

test.run();
