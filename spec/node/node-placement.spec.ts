// Ports that a node has none for, once directory or cluster file have said how many shards it has.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import type { EmbershardError } from "../../lib/base/errors.js";
import { makeDirectory } from "../../lib/directory/making.js";
import { placementOf } from "../../lib/node/node-placement.js";
import { resolveSettings } from "../../lib/node/settings.js";
import { errorOf } from "../client/client-suite.js";

const directory = mkdtempSync(join(tmpdir(), "placement-spec-"));
test.after(() => rmSync(directory, { recursive: true, force: true }));

async function placed(flags: Readonly<Record<string, string>>) {
  const { settings } = resolveSettings({ flags }, { memoryBytes: 2 ** 30 });
  return placementOf({ ...settings, dir: flags.dir });
}

async function demandRefused(flags: Readonly<Record<string, string>>, message: RegExp): Promise<void> {
  const error = await errorOf<EmbershardError>(placed(flags));
  assert.is(error.code, "INVALID_OPTIONS");
  assert.match(error.message, message);
}

test("a directory of two shards needs two ports above the one it listens on, and above the one that clients are told", async () => {
  const dir = join(directory, "model");
  await makeDirectory(dir, { shards: 2 });
  for (const name of ["listen", "advertise"])
    await demandRefused(
      { dir, [name]: "127.0.0.1:65534" },
      new RegExp(
        `found ${name} 127.0.0.1:65534 for 2 shards: its shards have the ports above it, .* too few`,
      ),
    );
  const { shards, mapWith } = await placed({ dir, advertise: "[::1]:65533" });
  assert.is(shards, 2);
  assert.equal(
    mapWith([1, 2]).owners.map(({ host, port }) => [host, port]),
    [
      ["::1", 65_534],
      ["::1", 65_535],
    ],
  );
});

test("a host alone is told with the ports that are listened on", async () => {
  const { mapWith } = await placed({ dir: join(directory, "new"), shards: "2", advertise: "[::1]" });
  assert.equal(
    mapWith([7, 9]).owners.map(({ host, port }) => [host, port]),
    [
      ["::1", 7],
      ["::1", 9],
    ],
  );
});

test("a node of a cluster that listens elsewhere needs ports for the shards that the file gives it", async () => {
  const cluster = join(directory, "cluster.json");
  writeFileSync(
    cluster,
    JSON.stringify({ nodes: [{ name: "a", host: "127.0.0.1", port: 7400, shards: 2 }] }),
  );
  const flags = { dir: join(directory, "a"), cluster, node: "a" };
  await demandRefused({ ...flags, listen: "127.0.0.1:65534" }, /listen 127.0.0.1:65534 for 2 shards: /);
  assert.is((await placed({ ...flags, listen: "127.0.0.1:65533" })).shards, 2);
});

test.run();
