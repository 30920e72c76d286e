// A shard that lets writes wait for others hears of who asked for that, or goes on.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { sgd } from "../../lib/api/optimizers.js";
import type { BodyInput, TableReply } from "../../lib/wire/generated/frame-types.js";
import { keysFrom, ServedShard, writePart } from "./served-shard.js";
import type { WirePeer } from "./wire-peer.js";

/** A request that stands still, and a push that waits for it. */
async function standing(request: (cut: bigint) => BodyInput) {
  const served = await new ServedShard().open();
  const [asker, writer] = [await served.connect(), await served.connect()];
  const table = await writer.openTable("items", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
  await writer.ask("Done", pushTo(table));
  const made = asker.tell({ kind: "Checkpoint", version: "before", cut: 7n });
  await proceedTo(asker, made, "written");
  proceed(asker, made);
  await asker.next(made);
  const id = asker.tell(request(9n));
  await proceedTo(asker, id, "still");
  const pushing = writer.tell(pushTo(table));
  return { served, asker, writer, id, pushing };
}

const pushTo = (table: TableReply): BodyInput => ({
  kind: "Push",
  write: {},
  parts: [writePart(table, 1)],
  keys: keysFrom(0, 1),
  data: [Float32Array.of(-1)],
});

async function nextStage(peer: WirePeer, id: number): Promise<string> {
  const { body, more } = await peer.next(id);
  if (body.kind !== "Report" || !more) throw new Error(JSON.stringify(body));
  return JSON.parse(body.json).stage;
}

async function proceedTo(peer: WirePeer, id: number, stage: string): Promise<void> {
  for (let at = await nextStage(peer, id); at !== stage; at = await nextStage(peer, id))
    if (at !== "begun") proceed(peer, id);
}

const proceed = (peer: WirePeer, request: number, wait = false) =>
  peer.tell({ kind: "Proceed", request, wait }, { id: 0 });

const turns = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
};

const requests: Readonly<Record<string, (cut: bigint) => BodyInput>> = {
  Checkpoint: (cut) => ({ kind: "Checkpoint", version: "v", cut }),
  Diff: (cut) => ({ kind: "Diff", from: "before", cut }),
  Changes: (cut) => ({ kind: "Changes", since: "before", cut }),
};

for (const [kind, request] of Object.entries(requests)) {
  test(`${kind}: writes wait while who asked is heard, and for a second of silence`, async () => {
    const { served, asker, writer, id, pushing } = await standing(request);
    for (let i = 0; i < 4; i++) {
      served.clock.pass(999);
      proceed(asker, id, true);
      await turns();
      assert.not.ok(asker.has(id) || writer.has(pushing), `after ${i} words`);
    }
    served.clock.pass(999);
    await turns();
    assert.not.ok(writer.has(pushing));
    served.clock.pass(251);
    const { body } = await asker.next(id);
    assert.ok(body.kind === "Failure" && /heard for 1000 ms/.test(body.message), JSON.stringify(body));
    assert.is((await writer.next(pushing)).body.kind, "Done");
    const { json } = await asker.ask("Report", { kind: "ListVersions" });
    assert.equal(
      (JSON.parse(json) as { name: string }[]).map(({ name }) => name),
      ["before"],
    );
    // What comes too late means nothing.
    proceed(asker, id);
    proceed(asker, id, true);
    assert.is(asker.ended, undefined);
    assert.equal(served.broken, []);
  });
}

test("who says to go on is not waited for any more, nor is a stage at which writes do not wait", async () => {
  const { served, asker, writer, id, pushing } = await standing(requests.Checkpoint);
  served.clock.pass(999);
  proceed(asker, id);
  assert.is(await nextStage(asker, id), "written");
  assert.is((await writer.next(pushing)).body.kind, "Done");
  served.clock.pass(60_000);
  await turns();
  proceed(asker, id);
  const { body, more } = await asker.next(id);
  assert.ok(body.kind === "Report" && !more);
});

test("a rollback is waited for longer: it would be undone in one shard and not in another", async () => {
  const { served, asker, writer, id, pushing } = await standing(() => ({
    kind: "Rollback",
    name: "before",
    cut: 7n,
  }));
  served.clock.pass(4000);
  await turns();
  assert.not.ok(asker.has(id) || writer.has(pushing));
  proceed(asker, id);
  const { body } = await asker.next(id);
  assert.is(body.kind, "Report", JSON.stringify(body));
  assert.is((await writer.next(pushing)).body.kind, "Done");
});

test.run();
