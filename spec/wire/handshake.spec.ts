import { test } from "uvu";
import * as assert from "uvu/assert";
import { codeOfNumber, EmbershardError, ERRORS, type ErrorCode } from "../../lib/base/errors.js";
import { errorOf, failureOf } from "../../lib/wire/failure.js";
import { FIRST_TERMS } from "../../lib/wire/frame.js";
import { readFrame } from "../../lib/wire/frame-reader.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { Feature, type Hello, type Welcome } from "../../lib/wire/generated/frame-types.js";
import { featureNames } from "../../lib/wire/generated/schema-tables.js";
import { agreedIn, agreeTo, featureBits, PROTOCOL } from "../../lib/wire/handshake.js";
import { withDefaults } from "./frame-values.js";

const hello = (major: number, minor: number, features: number) =>
  withDefaults({ id: 1, body: { kind: "Hello", major, minor, features } }).body as Hello;
const welcome = (major: number, minor: number, features: number) =>
  withDefaults({
    id: 1,
    body: {
      kind: "Welcome",
      major,
      minor,
      features,
      limits: {},
      slotMap: { kind: "SlotMap", owners: [], runs: new Uint16Array(0) },
    },
  }).body as Welcome;
const isProtocol = (error: unknown) => error instanceof EmbershardError && error.code === "PROTOCOL";

test("both get the lesser minor version, and the features that both have", () => {
  const own = featureBits("f16", "counters", "watch");
  const asked = featureBits("f16", "bf16", "watch");
  const later = agreeTo(hello(PROTOCOL.major, PROTOCOL.minor + 1, asked), own);
  assert.is(later.minor, PROTOCOL.minor);
  assert.is(later.features, featureBits("f16", "watch"));
  const agreed = agreedIn(welcome(PROTOCOL.major, PROTOCOL.minor, featureBits("f16")), asked);
  assert.is(agreed.features, featureBits("f16"));
  // Bits of a later version that both have set mean nothing here, and are not agreed to.
  assert.is(agreeTo(hello(1, 0, 0xffff_ffff), own).features, own);
});

test("another major version, or what was not offered, is refused", () => {
  assert.throws(() => agreeTo(hello(PROTOCOL.major + 1, 0, 0), 0), isProtocol);
  assert.throws(() => agreedIn(welcome(PROTOCOL.major + 1, 0, 0), 0), isProtocol);
  assert.throws(() => agreedIn(welcome(PROTOCOL.major, PROTOCOL.minor + 1, 0), 0), isProtocol);
  assert.throws(() => agreedIn(welcome(PROTOCOL.major, 0, 3), 1), isProtocol);
});

test("features have the bits of their numbers", () => {
  for (const [i, name] of featureNames.entries()) assert.is(featureBits(name), 1 << i);
  assert.equal(Object.keys(Feature), [...featureNames]);
});

test("every error comes back as it was, by its number", () => {
  const writer = new FrameWriter();
  for (const code of Object.keys(ERRORS) as ErrorCode[]) {
    assert.is(codeOfNumber(ERRORS[code].wire), code);
    const body = failureOf(new EmbershardError(code, "found ü"), { key: 5n, part: 0 });
    const frame = readFrame(writer.write({ id: 1, body }).toBytes(), FIRST_TERMS);
    assert.ok(frame.body.kind === "Failure");
    assert.is(frame.body.key, 5n);
    assert.is(frame.body.part, 0);
    const error = errorOf(frame.body, "node a");
    assert.is(error.code, code);
    assert.is(error.retry, ERRORS[code].retry);
    assert.is(error.message, "node a: found ü");
  }
});

test("what is no error of ours is a bug of ours; a number of a later version keeps whether to retry", () => {
  assert.is(failureOf(new TypeError("x is not a function")).code, ERRORS.INTERNAL.wire);
  const later = withDefaults({ id: 1, body: { kind: "Failure", code: 999, message: "m", retry: true } }).body;
  assert.ok(later.kind === "Failure");
  assert.is(errorOf(later, "a").retry, true);
  assert.is(errorOf({ ...later, retry: false }, "a").retry, false);
  assert.match(errorOf(later, "a").message, "999");
});

test.run();
