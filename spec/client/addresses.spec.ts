import { test } from "uvu";
import * as assert from "uvu/assert";
import { parseAddress } from "../../lib/client/address.js";
import { connect, EmbershardError } from "../../lib/index.js";

test("addresses: one host or several, with a port or without", () => {
  assert.equal(parseAddress("ember://a"), [{ host: "a", port: 7400 }]);
  assert.equal(parseAddress("ember://a:1,b.example.org:65535,10.0.0.1/"), [
    { host: "a", port: 1 },
    { host: "b.example.org", port: 65_535 },
    { host: "10.0.0.1", port: 7400 },
  ]);
  assert.equal(parseAddress("ember://[::1]:9000"), [{ host: "::1", port: 9000 }]);
});

test("what is no address is refused before anything is asked", async () => {
  const wrong = [
    "",
    "a:7400",
    "http://a:7400",
    "ember://",
    "ember://a:",
    "ember://a:0",
    "ember://a:65536",
    "ember://a,,b",
    "ember://a:7400/path",
    "ember://::1:7400",
    "ember://-a",
    7400,
    undefined,
    null,
  ];
  for (const address of wrong) {
    const error = await refusalOf(address, {});
    assert.is(error.code, "INVALID_ARGUMENT", String(address));
    assert.match(error.message, /connect: found address .*, expected "ember:\/\/host:port"/);
  }
});

test("options that are wrong are refused by name", async () => {
  const wrong: [object, RegExp][] = [
    [{ worker: "" }, /worker/],
    [{ worker: "x".repeat(201) }, /expected a name of 1 to 200 bytes/],
    [{ worker: "é".repeat(101) }, /expected a name of 1 to 200 bytes/],
    [{ session: 1n }, /found session without worker/],
    [{ worker: "w", session: 0n }, /expected a bigint from 1 to 2\^64 - 1/],
    [{ worker: "w", session: 5 }, /session/],
    [{ deadlineMs: -1 }, /deadlineMs/],
    [{ deadlineMs: 1.5 }, /deadlineMs/],
    [{ connectMs: 0 }, /connectMs/],
    [{ polling: "always" }, /polling/],
    [{ tries: "3" }, /tries/],
    [{ mask: "one" }, /mask/],
    [{ dedline: 1 }, /dedline/],
    [[], /connect/],
  ];
  for (const [options, message] of wrong) {
    const error = await refusalOf("ember://127.0.0.1:1", options);
    assert.is(error.code, "INVALID_OPTIONS", JSON.stringify(error.message));
    assert.match(error.message, message);
  }
});

test("where no node is, UNAVAILABLE says what each address said", async () => {
  const error = await refusalOf("ember://127.0.0.1:1,127.0.0.1:2", { deadlineMs: 50 });
  assert.is(error.code, "UNAVAILABLE");
  assert.match(error.message, /no node answers: .*127\.0\.0\.1:1.*; .*127\.0\.0\.1:2/);
});

async function refusalOf(address: unknown, options: object): Promise<EmbershardError> {
  try {
    const store = await connect(address as string, options);
    await store.close();
  } catch (error) {
    assert.instance(error, EmbershardError, (error as Error).stack!);
    return error as EmbershardError;
  }
  throw new Error(`connected to ${address}`);
}

test.run();
