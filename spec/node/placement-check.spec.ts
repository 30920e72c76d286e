import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { checkStandsAlone } from "../../lib/directory/standing-alone.js";
import { openPart } from "../../lib/embedded/open-store.js";
import { backupStore, openStore, restoreStore } from "../../lib/index.js";
import { checkPlacement } from "../../lib/node/placement-check.js";
import { firstMap } from "../../lib/ring/placement.js";
import { placementFingerprint } from "../../lib/ring/slot-map.js";

const nodes = [
  { name: "a", shards: 2 },
  { name: "b", shards: 1 },
];
const map = firstMap(nodes);
const wanted = { directory: "/data", file: "cluster.json", node: "a", map };
const record = { node: "a", fingerprint: placementFingerprint(map) };

function refusalOf(work: () => unknown): string {
  try {
    work();
  } catch (error) {
    assert.instance(error, EmbershardError);
    return `${(error as EmbershardError).code}: ${(error as Error).message}`;
  }
  return "was not refused";
}

test("a new directory takes the placement, and is served under it from then on", () => {
  assert.equal(checkPlacement(undefined, wanted), record);
  assert.equal(checkPlacement({ shards: 2, placement: record }, wanted), record);
  const moved = firstMap(nodes.map((node) => ({ ...node, host: "elsewhere", port: 9000, zone: "z" })));
  assert.equal(
    checkPlacement({ shards: 2, placement: record }, { ...wanted, map: { ...moved, epoch: 9 } }),
    record,
  );
});

test("another placement over data is refused, and nothing is placed anew", () => {
  const stored = { shards: 2, placement: record };
  for (const others of [
    [...nodes, { name: "c" }],
    [nodes[0]],
    [nodes[0], { name: "b", weight: 2 }],
    [nodes[0], { name: "b", shards: 2 }],
  ])
    assert.match(
      refusalOf(() => checkPlacement(stored, { ...wanted, map: firstMap(others) })),
      /^UNSUPPORTED: \/data holds data placed by another cluster file: found placement [0-9a-f]{16} in cluster\.json, expected [0-9a-f]{16}/,
    );
  assert.match(
    refusalOf(() => checkPlacement({ ...stored, shards: 3 }, wanted)),
    /^SHARD_COUNT: \/data has 3 shards, cluster\.json gives node "a" 2/,
  );
});

test("a directory is one node's", () => {
  assert.match(
    refusalOf(() => checkPlacement({ shards: 1, placement: record }, { ...wanted, node: "b" })),
    /^UNSUPPORTED: \/data holds the data of node "a", and was to be served as "b"/,
  );
  assert.match(
    refusalOf(() => checkPlacement(undefined, { ...wanted, node: "c" })),
    /^INVALID_OPTIONS: cluster\.json: found no node "c", expected one of a, b/,
  );
});

test("a store that stood alone may own a whole cluster, not a part of one; a part does not stand alone", () => {
  const alone = firstMap([nodes[0]]);
  assert.equal(checkPlacement({ shards: 2 }, { ...wanted, map: alone }), {
    node: "a",
    fingerprint: placementFingerprint(alone),
  });
  assert.match(
    refusalOf(() => checkPlacement({ shards: 2 }, wanted)),
    /^UNSUPPORTED: \/data holds a store of all slots, and cluster\.json gives some of them to other nodes/,
  );
  checkStandsAlone(undefined, "/data");
  checkStandsAlone({}, "/data");
  assert.match(
    refusalOf(() => checkStandsAlone({ placement: record }, "/data")),
    /^UNSUPPORTED: \/data holds the data of node "a" of a cluster/,
  );
});

test("the record stays with the data: opened, backed up, restored", async () => {
  const directory = mkdtempSync(join(tmpdir(), "placement-check-spec-"));
  try {
    const [store, copy, back] = ["store", "copy", "back"].map((name) => join(directory, name));
    const options = { control: false, hugePages: "off", checkpoint: false } as const;
    const open = async (path: string) => (await openPart(path, options)).close();
    const said = (path: string) => JSON.parse(readFileSync(join(path, "store"), "utf8"));
    await open(store);
    const identity = said(store);
    const say = (placement: unknown) =>
      writeFileSync(join(store, "store"), JSON.stringify({ ...identity, placement }));
    say(record);
    await open(store);
    const refused = await openStore(store, options).catch((reason: EmbershardError) => reason);
    assert.match(
      `${(refused as EmbershardError).code}: ${(refused as EmbershardError).message}`,
      /^UNSUPPORTED: .*store holds the data of node "a" of a cluster: serve it with its cluster file/,
    );
    await backupStore(store, copy);
    await restoreStore(copy, back);
    assert.equal(said(back), { ...identity, placement: record });
    await open(back);
    for (const wrong of [
      null,
      5,
      {},
      { node: "a" },
      { ...record, fingerprint: "12" },
      { ...record, node: 5 },
    ]) {
      say(wrong);
      const error = await open(store).catch((reason: EmbershardError) => reason);
      assert.is((error as EmbershardError | undefined)?.code, "CORRUPT", JSON.stringify(wrong));
    }
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test.run();
