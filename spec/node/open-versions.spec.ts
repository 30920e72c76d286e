// Versions that connections read: in memory once, for as long as somebody reads them.
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { keysFrom, named, ServedShard, writePart } from "./served-shard.js";
import type { WirePeer } from "./wire-peer.js";

const test = suite("open versions");
const optimizer = { kind: "sgd", learningRate: 1 } as const;

async function open(settings: ConstructorParameters<typeof ServedShard>[0] = {}) {
  const served = await new ServedShard(settings).open();
  const peer = await served.connect();
  const table = await peer.openTable("items", { dim: 1, optimizer });
  const assign = async (value: number) => {
    await peer.ask("Done", {
      kind: "Assign",
      write: {},
      parts: [writePart(table, 3)],
      keys: keysFrom(0, 3),
      data: [new Float32Array(3).fill(value)],
    });
  };
  await assign(1);
  await peer.ask("Report", { kind: "Checkpoint", version: "v" });
  await assign(2);
  const read = async (reader: WirePeer, version: number) => {
    const parts = [{ ...named(table), count: 1 }];
    const { data } = await reader.ask("Rows", { kind: "Pull", parts, keys: keysFrom(1, 1) }, { version });
    return new Float32Array(data.slice().buffer)[0];
  };
  return { served, peer, table, read };
}

const openV = { kind: "OpenVersion", name: "v" } as const;

test("a request reads the state that it says the number of", async () => {
  const { served, peer, table, read } = await open();
  const { number, tables, generation } = await peer.ask("VersionReply", openV);
  assert.equal(
    tables.map(({ name, id, fingerprint }) => [name, id, fingerprint]),
    [["items", table.id, table.fingerprint]],
  );
  assert.is(
    generation,
    served.shard.state.versions.size &&
      JSON.parse((await peer.ask("Report", { kind: "ListVersions" })).json)[0].generation,
  );
  assert.is(await read(peer, number), 1);
  assert.is(await read(peer, 0), 2);
  const scanned = await peer.ask("ScanRows", { kind: "Scan", ...named(table) }, { version: number });
  const cursor = scanned.cursor!;
  assert.is(scanned.rows.count, 3);
  // A cursor of a version is not one of the live state.
  assert.is(await peer.refusal({ kind: "Scan", ...named(table), cursor }), "INVALID_ARGUMENT");
  await peer.ask("Done", { kind: "EndScan", cursor });
  assert.is(
    await peer.refusal({ kind: "Scan", ...named(table), cursor }, { version: number }),
    "INVALID_ARGUMENT",
  );
  await peer.ask("Done", { kind: "EndScan", cursor });
});

test("writes of whoever it is are refused", async () => {
  const { served, table } = await open();
  const peer = await served.connect({ worker: "w", session: 1n });
  const { number: version } = await peer.ask("VersionReply", openV);
  const write = { worker: peer.welcomed!.worker, session: 1n, sequence: 1 };
  const one = { write, parts: [writePart(table, 1)], keys: keysFrom(0, 1), data: [new Float32Array(1)] };
  for (const body of [
    { kind: "Push", ...one },
    { kind: "Assign", ...one },
    { kind: "Delete", write, parts: [{ ...named(table), count: 1 }], keys: keysFrom(0, 1) },
    { kind: "Evict", write, ...named(table), by: 0, bound: 1 },
    { kind: "Checkpoint" },
    { kind: "Changes", since: "v" },
    { kind: "Diff", from: "v" },
    openV,
    { kind: "DropTable", name: "items" },
  ] as const)
    assert.is(await peer.refusal(body, { version }), "VERSION_IS_READ_ONLY", body.kind);
  // Nothing of it was noted.
  assert.not.ok((await peer.ask("Done", { kind: "Push", ...one })).repeated);
});

test("it is in memory once, until the last reader lets it go or is gone", async () => {
  const { served, peer, read } = await open();
  const other = await served.connect();
  const [a, b] = await Promise.all([peer.ask("VersionReply", openV), other.ask("VersionReply", openV)]);
  const used = served.service.openVersions.usedBytes();
  const again = await peer.ask("VersionReply", openV);
  assert.is(served.service.openVersions.usedBytes(), used);
  assert.ok(used > 0);
  await peer.ask("Done", { kind: "DeleteVersion", name: "v" });
  assert.is(await peer.refusal(openV), "VERSION_NOT_FOUND");
  await peer.ask("Done", { kind: "CloseVersion", number: a.number });
  assert.is(await peer.refusal({ kind: "CloseVersion", number: a.number }), "INVALID_ARGUMENT");
  assert.is(await peer.refusal({ kind: "ListTables" }, { version: a.number }), "INVALID_ARGUMENT");
  assert.is(await read(peer, again.number), 1);
  peer.vanish();
  assert.is(await read(other, b.number), 1);
  assert.is(served.service.openVersions.usedBytes(), used);
  other.vanish();
  assert.is(served.service.openVersions.usedBytes(), 0);
});

test("one that there is no memory for is refused, and so are too many", async () => {
  const { served, peer } = await open();
  for (let i = 0; i < 64; i++) await peer.ask("VersionReply", openV);
  assert.is(await peer.refusal(openV), "OVERLOADED");
  peer.vanish();
  const small = await served.connect();
  // Requests that are under way take all that there is.
  served.service.inFlight.take(served.settings.memoryBytes);
  assert.is(await small.refusal(openV), "OVERLOADED");
  served.service.inFlight.take(-served.settings.memoryBytes);
  await small.ask("VersionReply", openV);
});

test.run();
