import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { parseClusterFile, placementOf, readClusterFile } from "../../lib/node/cluster-file.js";
import { firstMap } from "../../lib/ring/placement.js";
import { placementFingerprint } from "../../lib/ring/slot-map.js";

const test = suite<{ directory: string }>("the cluster file");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "cluster-file-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const a = { name: "a", host: "10.0.0.1", port: 7400 };
const b = { name: "b", host: "b.example", port: 7400, weight: 2.5, zone: "r2", shards: 3 };

async function refusalOf(work: () => unknown): Promise<EmbershardError> {
  try {
    await work();
  } catch (error) {
    assert.instance(error, EmbershardError);
    return error as EmbershardError;
  }
  throw new Error("was not refused");
}

test("a file is read, and placed by names, weights and shards", async ({ directory }) => {
  const path = join(directory, "cluster.json");
  writeFileSync(path, JSON.stringify({ nodes: [b, a], epoch: 3 }));
  const file = await readClusterFile(path);
  assert.equal(
    file.nodes.map(({ weightUnits, ...node }) => node),
    [{ ...a, weight: 1, zone: "", shards: 1 }, b],
  );
  assert.equal([file.slots, file.replicas, file.epoch], [16_384, 1, 3]);
  const map = placementOf(file);
  assert.is(map.epoch, 3);
  assert.is(placementFingerprint(map), placementFingerprint(firstMap([a, b])));
  assert.equal(map.owners[3], { node: "b", shard: 2, host: "b.example", port: 7403 });
});

test("what is wrong in it is named", async ({ directory }) => {
  const wrong: [unknown, RegExp][] = [
    ["{", /c is not JSON/],
    [[], /c: found an array, expected an object/],
    [{}, /c: found nodes undefined, expected an array of at least one node/],
    [{ nodes: [] }, /expected an array of at least one node/],
    [{ nodes: [5] }, /c, node 0: found 5/],
    [{ nodes: [a], slots: 1024 }, /c: found slots 1024, expected 16384/],
    [{ nodes: [a], replicas: 2 }, /c: found replicas 2, expected 1: copies are not kept yet/],
    [{ nodes: [a], epoch: 0 }, /c: found epoch 0/],
    [{ nodes: [a], node: [] }, /c: found unknown option "node", expected nodes, slots, replicas, epoch/],
    [{ nodes: [a, { ...b, name: "a" }] }, /c: members: found two named "a"/],
    [{ nodes: [a, { ...b, name: "b/c" }] }, /c: a member's name: found "b\/c"/],
    [{ nodes: [a, { ...b, name: undefined }] }, /c, node 1: found name undefined/],
    [{ nodes: [{ ...a, host: undefined }] }, /c, node 0: found host undefined/],
    [{ nodes: [{ ...a, host: "10.0.0.1:7400" }] }, /found host "10.0.0.1:7400", expected a host name/],
    [{ nodes: [{ ...a, port: undefined }] }, /found port undefined/],
    [{ nodes: [{ ...a, port: 0 }] }, /found port 0, expected a whole number from 1 to 65534/],
    [{ nodes: [{ ...a, port: "7400" }] }, /found port "7400"/],
    [
      { nodes: [{ ...a, shards: 3, port: 65_533 }] },
      /found port 65533, expected a whole number from 1 to 65532/,
    ],
    [{ nodes: [{ ...a, shards: 1.5 }] }, /found shards 1.5/],
    [
      { nodes: [{ ...a, shards: 257 }] },
      /c, node 0: found shards 257, expected a whole number from 1 to 256/,
    ],
    [{ nodes: [{ ...a, weight: -1 }] }, /found weight -1, expected a number from 0.001 to 100000/],
    [{ nodes: [{ ...a, weight: 0.0004 }] }, /found weight 0.0004/],
    [{ nodes: [{ ...a, zone: 7 }] }, /found zone 7/],
    [{ nodes: [{ ...a, wieght: 2 }] }, /c, node 0: found unknown option "wieght"/],
    [
      { nodes: [{ ...b, port: 7397, host: a.host }, a] },
      /c: found port 7400 of a among ports 7397 to 7400 of b/,
    ],
  ];
  for (const [content, message] of wrong) {
    const text = typeof content === "string" ? content : JSON.stringify(content);
    const error = await refusalOf(() => parseClusterFile(text, "c"));
    assert.is(error.code, "INVALID_OPTIONS", text);
    assert.match(error.message, message);
  }
  assert.is(
    parseClusterFile(JSON.stringify({ nodes: [a, { ...b, host: a.host, port: 7402 }] }), "c").nodes.length,
    2,
  );
  const missing = await refusalOf(() => readClusterFile(join(directory, "none.json")));
  assert.is(missing.code, "IO");
});

test("hosts are names and addresses of both kinds", () => {
  for (const host of ["localhost", "::1", "fe80::1%eth0", "node_1.cluster-a.example", "10.1.2.3"])
    assert.is(parseClusterFile(JSON.stringify({ nodes: [{ ...a, host }] }), "c").nodes[0].host, host);
});

test.run();
