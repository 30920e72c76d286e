// Settings: where they come from, what they may be, and that the document says the same.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { parseEndpoint } from "../../lib/node/setting-kinds.js";
import { resolveSettings, type SettingSources, strangeVariables } from "../../lib/node/settings.js";
import { ROOT } from "../docs/documents.js";
import { settingsTableText } from "./settings-table-text.js";

const machine = { memoryBytes: 2 ** 34 };
const resolve = (sources: SettingSources) => resolveSettings(sources, machine);
const file = (json: object) => ({ path: "node.json", text: JSON.stringify(json) });

function refusal(sources: SettingSources): string {
  try {
    resolve(sources);
  } catch (error) {
    assert.instance(error, EmbershardError);
    assert.is((error as EmbershardError).code, "INVALID_OPTIONS");
    return (error as Error).message;
  }
  throw new Error("nothing was refused");
}

test("flags over environment over file over defaults, each with where it is from", () => {
  const { settings, inForce } = resolve({
    flags: { shards: "4" },
    environment: { EMBERSHARD_SHARDS: "3", EMBERSHARD_FRAME_BYTES: "1MiB" },
    file: file({ shards: 2, frameBytes: 65_536, connections: 10 }),
  });
  assert.is(settings.shards, 4);
  assert.is(settings.frameBytes, 1 << 20);
  assert.is(settings.connections, 10);
  assert.is(settings.drainTimeoutMs, 10_000);
  assert.is(settings.memoryBytes, 12 * 2 ** 30);
  const from = Object.fromEntries(inForce.map((one) => [one.name, one.from]));
  assert.is(from.shards, "flag --shards");
  assert.is(from.frameBytes, "environment EMBERSHARD_FRAME_BYTES");
  assert.is(from.connections, "file node.json");
  assert.is(from.drainTimeoutMs, "default");
});

test("what is wrong is refused with its name and where it is from, even where it is overruled", () => {
  const wrong: [SettingSources, RegExp][] = [
    [
      { flags: { shards: "0" } },
      /^shards: found "0" \(flag --shards\), expected a whole number from 1 to 256$/,
    ],
    [{ flags: { shards: "1.5" } }, /flag --shards/],
    [
      { environment: { EMBERSHARD_FRAME_BYTES: "4 apples" } },
      /^frameBytes: found "4 apples" \(environment EMBERSHARD_FRAME_BYTES\)/,
    ],
    [{ flags: { shards: "1" }, file: file({ shards: "x" }) }, /^shards: found "x" \(file node.json\)/],
    [{ file: file({ idleTimeoutMs: "1s" }) }, /expected a time from 8s to 16min, such as 30s, or 0: never/],
    [
      { file: file({ idleTimeout: 1 }) },
      /^node.json: found unknown settings idleTimeout, expected dir, listen/,
    ],
    [{ file: { path: "node.json", text: "[]" } }, /^node.json: found an array, expected an object/],
    [{ file: { path: "node.json", text: "{" } }, /^node.json cannot be read as JSON/],
    [{ file: file({ insecure: "yes" }) }, /insecure: found "yes"/],
    [{ flags: { listen: "localhost" } }, /expected HOST:PORT/],
    [
      { flags: { listen: "10.0.0.1:7400" } },
      /listen 10.0.0.1:7400 \(flag --listen\): nothing is encrypted.* needs --insecure/,
    ],
    [{ flags: { listen: "127.0.0.1:65535" } }, /ports above it, of which there are too few/],
    [{ flags: { listen: "127.0.0.1:65534", shards: "2" } }, /ports above it, of which there are too few/],
    ...[
      "a b",
      "http://x",
      "x:y:z",
      "127.0.0.1:70000",
      "host:99999",
      "h:0",
      "h:",
      "",
      "::1",
      "[a]",
      "[a:1]",
      "h/x",
    ].map((advertise): [SettingSources, RegExp] => [
      { flags: { advertise } },
      /^advertise: found ".*" \(flag --advertise\), expected HOST or HOST:PORT/,
    ]),
    [
      { flags: { advertise: "127.0.0.1:65534", shards: "2" } },
      /advertise 127.0.0.1:65534 \(flag --advertise\): its shards have the ports above it, of which there are too few/,
    ],
    [{ flags: { cluster: "c.json" } }, /found cluster c.json \(flag --cluster\) without node/],
    [{ flags: { node: "a" } }, /found node a \(flag --node\) without cluster/],
    [{ flags: { cluster: "c", node: "a", advertise: "h" } }, /the file says where clients connect to/],
    [
      { flags: { frameBytes: "128MiB" } },
      /connectionBytes 64MiB \(default\), expected at least frameBytes 128MiB \(flag/,
    ],
    [{ flags: { inFlightBytes: "1MiB" } }, /expected at least connectionBytes 64MiB/],
    [{ flags: { hugePages: "on" } }, /expected auto or off/],
    [{ flags: { dir: "" } }, /dir: found ""/],
  ];
  for (const [sources, message] of wrong) assert.match(refusal(sources), message, JSON.stringify(sources));
});

test("bytes, times and addresses are read with their units", () => {
  const { settings } = resolve({
    flags: {
      memoryBytes: "1.5GiB",
      frameBytes: 65536,
      drainTimeoutMs: "0",
      checkpointEveryMs: "2h",
      sessionExpiryMs: "1 d",
      listen: "[::1]:7400",
      supervise: false,
    },
  });
  assert.is(settings.memoryBytes, 1.5 * 2 ** 30);
  assert.is(settings.frameBytes, 65_536);
  assert.is(settings.drainTimeoutMs, 0);
  assert.is(settings.checkpointEveryMs, 7_200_000);
  assert.is(settings.sessionExpiryMs, 86_400_000);
  assert.equal(settings.listen, { host: "::1", port: 7400 });
  assert.is(settings.supervise, false);
  for (const [advertise, host, port] of [
    ["10.0.0.5", "10.0.0.5", 0],
    ["node_1.example-a.org:65534", "node_1.example-a.org", 65_534],
    ["[::1]", "::1", 0],
    ["[2001:db8::1]:1", "2001:db8::1", 1],
  ] as const) {
    const { settings, inForce } = resolve({ flags: { advertise } });
    assert.equal(settings.advertise, { host, port });
    assert.is(inForce.find(({ name }) => name === "advertise")!.shown, advertise);
  }
  assert.is(parseEndpoint("host:70000"), undefined);
  assert.is(parseEndpoint("::1:80"), undefined);
  assert.equal(resolve({ flags: { listen: "0.0.0.0:80", insecure: true } }).settings.listen, {
    host: "0.0.0.0",
    port: 80,
  });
});

test("variables that look like settings and are none are told", () => {
  assert.equal(
    strangeVariables({ EMBERSHARD_DIRR: "x", EMBERSHARD_DIR: "y", EMBERSHARD_TRACE: "1", PATH: "z" }),
    ["EMBERSHARD_DIRR"],
  );
});

test("docs/nodes.md has the settings as they are", () => {
  const text = readFileSync(join(ROOT, "docs", "nodes.md"), "utf8");
  assert.ok(text.includes(settingsTableText()), `its table is to be:\n${settingsTableText()}`);
});

test.run();
