// Frames are read the same however the stream is cut into chunks, and no bytes make the reader throw, hang or hold too much.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import type { FrontAnswer } from "../../lib/net/connection.js";
import { maskInPlace, OPCODES, writeHeader } from "../../lib/net/frame-header.js";
import { FrameReader } from "../../lib/net/frame-reader.js";
import { frame } from "./raw-peers.js";
import { pattern, sameBytes } from "./recorder.js";

const limits = { messageBytes: 100_000, frontBytes: 64 };

/** All that a reader finds in a stream, as lines. */
function readAll(stream: Uint8Array, cuts: (left: number) => number, withFront = false): string[] {
  const found: string[] = [];
  let targets: Uint8Array[] = [];
  const front = (head: Uint8Array, total: number): FrontAnswer => {
    if (head[0] % 3 === 0) return undefined;
    if (head.length === 64 && total > 200) return 100 + (head[1] % 100);
    const rest = total - head.length;
    const first = head[2] % (rest + 1);
    targets = [new Uint8Array(first), new Uint8Array(0), new Uint8Array(rest - first)];
    found.push(`front ${Buffer.from(head).toString("base64")}`);
    return targets;
  };
  const reader = new FrameReader(limits, {
    message: (bytes) => {
      assert.is(bytes.byteOffset % 8, 0);
      found.push(`message ${Buffer.from(bytes).toString("base64")}`);
    },
    ...(withFront && { front }),
    filled: () => found.push(`filled ${Buffer.concat(targets).toString("base64")}`),
    ping: (payload) => found.push(`ping ${Buffer.from(payload).toString("hex")}`),
    pong: () => found.push("pong"),
    close: (code, reason) => found.push(`close ${code} ${reason}`),
    violation: (code, reason) => found.push(`violation ${code} ${reason}`),
  });
  for (let at = 0; at < stream.length; ) {
    const length = Math.max(1, Math.min(stream.length - at, cuts(stream.length - at)));
    const chunk = new Uint8Array(length + 3).subarray(3);
    chunk.set(stream.subarray(at, at + length));
    reader.read(chunk);
    // What was lent is gone.
    chunk.fill(0xee);
    at += length;
  }
  return found;
}

const allSizes = [0, 1, 60, 64, 65, 125, 126, 300, 5000, 66_000];

function randomStream(random: Prng, sizes = allSizes): Buffer {
  const frames: Buffer[] = [];
  for (let i = 0; i < 6; i++) {
    const size = sizes[random.below(sizes.length)];
    const payload = pattern(size, random.below(1000));
    if (random.below(3) > 0) frames.push(frame(0x82, payload));
    else {
      const at = random.below(size + 1);
      frames.push(frame(0x02, payload.subarray(0, at)));
      if (random.below(2)) frames.push(frame(0x89, pattern(random.below(126), 3)));
      if (random.below(2)) frames.push(frame(0x00, new Uint8Array(0)));
      frames.push(frame(0x80, payload.subarray(at)));
    }
    if (random.below(4) === 0) frames.push(frame(0x8a, pattern(4, 4)));
  }
  if (random.below(2)) frames.push(frame(0x88, Buffer.from([0x03, 0xe8, 0x62, 0x79, 0x65])));
  return Buffer.concat(frames);
}

test("where the stream is cut makes no difference", () => {
  const random = new Prng(5);
  for (let round = 0; round < 30; round++) {
    const stream = randomStream(random);
    for (const withFront of [false, true]) {
      const whole = readAll(stream, (left) => left, withFront);
      assert.ok(whole.length >= 6);
      assert.equal(
        readAll(stream, () => 1 + random.below(20), withFront),
        whole,
      );
      assert.equal(
        readAll(stream, () => random.below(40_000), withFront),
        whole,
      );
      if (round < 2)
        assert.equal(
          readAll(stream, () => 1, withFront),
          whole,
        );
    }
  }
});

test("what a front does not ask for comes as without one", () => {
  const stream = frame(0x82, pattern(5000, 1));
  const [line] = readAll(stream, (left) => left);
  assert.is(line, `message ${Buffer.from(pattern(5000, 1)).toString("base64")}`);
  const [head, rest] = readAll(stream, (left) => left, true);
  if (rest) {
    const joined = Buffer.concat([head, rest].map((one) => Buffer.from(one.split(" ")[1], "base64")));
    assert.ok(sameBytes(joined, pattern(5000, 1)));
  } else assert.is(head, line);
});

test("a target that is taken away while it is being filled gets nothing more; the others get what is theirs", () => {
  const payload = pattern(5000, 1);
  const stream = frame(0x82, payload);
  const targets = [new Uint8Array(1000), new Uint8Array(1000), new Uint8Array(5000 - 64 - 2000)];
  const found: string[] = [];
  const reader = new FrameReader(limits, {
    message: () => found.push("message"),
    front: () => targets,
    filled: () => found.push("filled"),
    ping: () => undefined,
    pong: () => undefined,
    close: () => found.push("close"),
    violation: () => found.push("violation"),
  });
  reader.read(stream.subarray(0, 500));
  for (const { buffer } of targets.slice(0, 2)) structuredClone(buffer, { transfer: [buffer] });
  for (let at = 500; at < stream.length; at += 700) reader.read(stream.subarray(at, at + 700));
  assert.equal(found, ["filled"]);
  assert.ok(sameBytes(targets[2], payload.subarray(2064)));
});

test("each breach has its code, and nothing is read after it", () => {
  const one = Uint8Array.of(1);
  const breaches: readonly [number, Uint8Array][] = [
    [1002, frame(0xc2, one)],
    [1002, frame(0xa2, one)],
    [1002, frame(0x92, one)],
    [1002, frame(0x82, one, { masked: true })],
    [1002, frame(0x83, one)],
    [1002, frame(0x8f, one)],
    [1002, frame(0x09, one)],
    [1002, frame(0x89, new Uint8Array(126))],
    [1002, frame(0x80, one)],
    [1002, Buffer.concat([frame(0x02, one), frame(0x82, one)])],
    [1002, frame(0x82, one, { form: 16 })],
    [1002, frame(0x82, one, { form: 64 })],
    [1002, frame(0x82, new Uint8Array(200), { form: 64 })],
    [1002, frame(0x88, one)],
    [1002, frame(0x88, Uint8Array.of(3, 0xed))],
    [1002, frame(0x88, Uint8Array.of(0, 1))],
    [1007, frame(0x88, Uint8Array.of(3, 0xe8, 0xff))],
    [1003, frame(0x81, one)],
    [1009, frame(0x82, one, { length: 100_001 })],
    [1009, frame(0x82, one, { form: 64, length: 2n ** 64n - 1n })],
    [1009, Buffer.concat([frame(0x02, new Uint8Array(60_000)), frame(0x80, new Uint8Array(40_001))])],
  ];
  for (const [code, bytes] of breaches) {
    for (const cut of [1, 1 << 20]) {
      const found = readAll(Buffer.concat([bytes, frame(0x82, one)]), () => cut).filter(
        (line) => line !== "ping ",
      );
      assert.is(found.length, 1, found.join());
      assert.match(found[0], new RegExp(`^violation ${code} `));
    }
  }
});

test("no bytes make it throw or deliver what was not sent", () => {
  const random = new Prng(8);
  let ended = 0;
  for (let round = 0; round < 3000; round++) {
    const stream = Uint8Array.from(randomStream(random, [0, 1, 5, 64, 70, 130]));
    for (let i = 0; i <= random.below(4); i++) stream[random.below(stream.length)] = random.below(256);
    const found = readAll(stream, () => 1 + random.below(200), round % 2 === 0);
    const stops = found.findIndex((line) => /^(violation|close)/.test(line));
    if (stops >= 0) ended++;
    assert.ok(stops < 0 || stops === found.length - 1, "nothing follows an end");
    const carried = found.filter((line) => /^(message|front|filled)/.test(line));
    const delivered = carried.reduce(
      (sum, line) => sum + Buffer.from(line.split(" ")[1] ?? "", "base64").length,
      0,
    );
    assert.ok(delivered <= stream.length);
  }
  assert.ok(ended > 300, `${ended} ended`);
});

test("headers are what the RFC says, and masks can be undone", () => {
  const examples: readonly [number, readonly number[]][] = [
    [5, [0x82, 0x85, 1, 2, 3, 4]],
    [126, [0x82, 0xfe, 0, 126, 1, 2, 3, 4]],
    [65_536, [0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4]],
  ];
  for (const [length, expected] of examples) {
    const header = new Uint8Array(expected.length);
    writeHeader(header, OPCODES.binary, length, Uint8Array.of(1, 2, 3, 4));
    assert.equal([...header], expected);
  }
  const mask = Uint8Array.of(0x37, 0xfa, 0x21, 0x3d);
  for (const offset of [0, 1, 4, 7]) {
    const bytes = new Uint8Array(40).subarray(offset, offset + 23);
    for (let i = 0; i < bytes.length; i++) bytes[i] = i;
    maskInPlace(bytes, mask);
    for (let i = 0; i < bytes.length; i++) assert.is(bytes[i], i ^ mask[i & 3]);
  }
});

test.run();
