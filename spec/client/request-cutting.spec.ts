// What a client sends, frame by frame: none is longer than nodes take, all keys are in them, and slots have each sequence once.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { stateFloats } from "../../lib/api/optimizers.js";
import { systemClock } from "../../lib/base/clock.js";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import { Call } from "../../lib/client/call.js";
import type { Asking, Channel } from "../../lib/client/channel.js";
import type { Cluster } from "../../lib/client/cluster.js";
import { PlanMemories } from "../../lib/client/plan-memory.js";
import { pullRows } from "../../lib/client/pulling.js";
import { writeRows } from "../../lib/client/pushing.js";
import type { RemoteTable } from "../../lib/client/remote-table.js";
import { WriteOrder } from "../../lib/client/write-order.js";
import type { RemoteWrite } from "../../lib/client/write-plan.js";
import { adagrad, adam } from "../../lib/index.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { firstMap } from "../../lib/ring/placement.js";
import { Routes } from "../../lib/ring/routes.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { type BodyInput, ElementType, type PushInput } from "../../lib/wire/generated/frame-types.js";
import { randomFloats, randomKeys } from "../laws/twin.js";

const kib = 1024;
const placement = 12n;
const memories = new PlanMemories();
const slotOf = (key: bigint) => Number(hashKey(key, placement) >> 50n);

interface Sent {
  readonly owner: number;
  readonly body: BodyInput;
  readonly bytes: number;
}

/** Shards that note what they are sent, and answer at once that it is done; a pull fails. */
function nodes(shards: number, frameBytes: number): { cluster: Cluster; sent: Sent[] } {
  const map = firstMap([{ name: "node", shards, host: "node", port: 1 }]);
  const sent: Sent[] = [];
  const channelOf = (owner: number): Partial<Channel> => ({
    name: `shard ${owner}`,
    welcome: { worker: 4_000_000_000, features: 0xffff, limits: { frameBytes } } as Channel["welcome"],
    request(body: BodyInput, head, asking: Asking, _bytes, taken) {
      const frame = new FrameWriter().write({ id: 4_000_000_000, version: 9, ...head, body });
      sent.push({ owner, body: { ...body, keys: keysIn(body) } as BodyInput, bytes: frame.bytes });
      taken?.();
      const refused = new EmbershardError("UNSUPPORTED", "a pull");
      const details = { unknown: false, retryAfterMs: 0, slotMap: undefined };
      if (body.kind === "Pull") asking.failed(refused, details);
      else asking.answer({ body: { kind: "Done", touched: keysIn(body).length } } as never);
      return 1;
    },
  });
  const channels = map.owners.map((_, owner) => channelOf(owner));
  const cluster = {
    map,
    owners: [...map.owners.keys()],
    routes: new Routes(map),
    frameBytes,
    bulkBytes: 0.75 * frameBytes,
    channel: (owner: number) => channels[owner],
    ownerName: (owner: number) => `shard ${owner}`,
    noteWrite: () => undefined,
  };
  return { cluster: cluster as unknown as Cluster, sent };
}

function keysIn(body: BodyInput): BigUint64Array {
  const { keys } = body as { keys: BigUint64Array | BigUint64Array[] };
  return BigUint64Array.from(Array.isArray(keys) ? keys.flatMap((some) => [...some]) : keys);
}

const call = (cluster: Cluster) =>
  new Call(cluster, { clock: systemClock, random: () => 0, deadlineMs: 0, tries: 1 });

function table(id: number, dim: number): RemoteTable {
  const optimizer = id % 2 ? adam({ learningRate: 1 }) : adagrad({ learningRate: 1 });
  const counters = id % 3 ? [] : ["show", "click"].slice(id % 2);
  return {
    id: (1n << 60n) + BigInt(id),
    fingerprint: 1n << 63n,
    placement,
    dim,
    stateFloats: stateFloats(optimizer, dim),
    counters,
    element: ElementType.F32,
    gradients: id % 4 ? ElementType.F32 : ElementType.F16,
    definition: { name: `t${id}`, nonFinite: "drop" },
    skipped: 0,
  } as unknown as RemoteTable;
}

function writeOf(
  kind: RemoteWrite["kind"],
  of: RemoteTable,
  keys: BigUint64Array,
  random: Prng,
): RemoteWrite {
  const n = keys.length;
  const numbers = () => new Uint32Array(n).fill(3);
  const assigned = kind === "assign";
  return {
    table: of,
    kind,
    keys,
    learningRate: 0.5,
    values: kind === "delete" ? undefined : randomFloats(random, n * of.dim),
    states: assigned && of.stateFloats > 0 ? randomFloats(random, n * of.stateFloats) : undefined,
    history: assigned ? { frequency: numbers(), lastStep: numbers() } : undefined,
    counters:
      kind !== "delete" && of.counters.length > 0 ? new Float32Array(n * of.counters.length) : undefined,
  };
}

/** Demands of the frames of a write that they have all of its keys, each once, and that shards take each. */
function assertWhole(
  sent: readonly Sent[],
  writes: readonly RemoteWrite[],
  frameBytes: number,
  what: string,
) {
  const missing = new Map(writes.map((write) => [write.table.id, new Set(write.keys)] as const));
  const last = new Map<number, number>();
  for (const { body, bytes, owner } of sent) {
    assert.ok(bytes <= frameBytes, `${what}: a frame of ${bytes} bytes`);
    const { write, parts } = body as PushInput;
    const { firstSlot = 0, lastSlot = 0, sequence = 0 } = write;
    let at = 0;
    const slots = new Set<number>();
    for (const { table: id, count = 0 } of parts) {
      for (const key of keysIn(body).subarray(at, at + count)) {
        assert.ok(missing.get(id ?? 0n)!.delete(key), `${what}: key ${key} comes twice`);
        const slot = slotOf(key);
        assert.ok(slot >= firstSlot && slot <= lastSlot, `${what}: slot ${slot} is covered`);
        slots.add(slot);
      }
      at += count;
    }
    for (const slot of slots) {
      assert.ok(sequence > (last.get(slot) ?? 0), `${what}: owner ${owner}, slot ${slot} has a new sequence`);
      last.set(slot, sequence);
    }
  }
  for (const [id, keys] of missing) assert.is(keys.size, 0, `${what}: all keys of ${id} are sent`);
}

function keysOfOneSlot(n: number): BigUint64Array {
  const keys: bigint[] = [];
  for (let key = 1n; keys.length < n; key++) if (slotOf(key) === 77) keys.push(key);
  return BigUint64Array.from(keys);
}
const oneSlot = keysOfOneSlot(24);

test("writes of any shape fit the frames that nodes take", async () => {
  const random = new Prng(3);
  for (let round = 0; round < 80; round++) {
    const shards = [1, 3, 8][round % 3];
    const frameBytes = [64 * kib, 100_001, 256 * kib, 4096 * kib][random.below(4)];
    const tables = [1, 1, 2, 26, 1024][random.below(5)];
    const kind = (["push", "assign", "delete"] as const)[random.below(3)];
    const few = tables > 26;
    const writes = Array.from({ length: tables }, (_, id) => {
      const dim = few ? 1 : [1, 7, 64, 1024, 4096][random.below(tables > 2 ? 3 : 5)];
      const n = few ? 1 + random.below(4) : 1 + random.below(Math.min(6000, Math.ceil(600_000 / dim)));
      const drawn = randomKeys(random, n, random.below(2) ? 50 : 1 << 30);
      const keys = kind === "push" ? drawn : BigUint64Array.from(new Set(drawn));
      const own = random.below(4) === 0 ? oneSlot : keys;
      return writeOf(kind, table(id, dim), own, random);
    });
    const { cluster, sent } = nodes(shards, frameBytes);
    const order = new WriteOrder();
    const mark = random.below(2) ? new Uint8Array(4096) : undefined;
    const request = { ack: "fsync", step: 7, mark } as const;
    const numbered = { request, sequence: order.nextSequence(), again: undefined };
    const writer = { cluster, memories, order, session: 1n << 60n };
    const touched = await writeRows(writer, writes, numbered, call(cluster));
    const what = `round ${round}: ${kind}, ${shards} shards, ${tables} tables, ${frameBytes} bytes`;
    assertWhole(sent, writes, frameBytes, what);
    assert.is(
      touched,
      sent.reduce((sum, { body }) => sum + keysIn(body).length, 0),
      what,
    );
    const used = Math.max(...sent.map(({ body }) => (body as PushInput).write.sequence ?? 0));
    assert.ok(order.nextSequence() > used, `${what}: the next write has a higher sequence`);
    assert.not.ok(order.busy, what);
  }
});

test("pulls of any shape fit the frames that nodes take", async () => {
  for (const tables of [1, 26, 1024])
    for (const n of [1, 2, 4, 5, 40]) {
      const { cluster, sent } = nodes(1, 64 * kib);
      const reads = Array.from({ length: tables }, (_, id) => {
        const keys = BigUint64Array.from({ length: n * (tables === 1 ? 1000 : 1) }, (_, i) => BigInt(i));
        const of = table(id, 1);
        return { table: of, keys, into: new Float32Array(keys.length), fallback: id };
      });
      let code: unknown;
      await pullRows(cluster, memories, reads, call(cluster)).catch((error) => (code = error.code));
      assert.is(code, "UNSUPPORTED");
      for (const { bytes } of sent) assert.ok(bytes <= 64 * kib, `${tables} tables: ${bytes} bytes`);
      const asked = sent.reduce((sum, { body }) => sum + keysIn(body).length, 0);
      assert.is(
        asked,
        reads.reduce((sum, { keys }) => sum + keys.length, 0),
      );
    }
});

test("what is cut for speed is cut into as many slots each", async () => {
  const { cluster, sent } = nodes(1, 4096 * kib);
  const order = new WriteOrder();
  order.enter({ owner: 0, epoch: 1, first: 0, last: 0, sequence: order.nextSequence() }).leave();
  const busy = order.enter({ owner: 0, epoch: 1, first: 0, last: 0, sequence: order.nextSequence() });
  const keys = BigUint64Array.from({ length: 5000 }, (_, i) => BigInt(i));
  const write = writeOf("push", table(1, 64), keys, new Prng(1));
  const numbered = {
    request: { ack: "os", step: 1 } as const,
    sequence: order.nextSequence(),
    again: undefined,
  };
  const writing = writeRows({ cluster, memories, order, session: 1n }, [write], numbered, call(cluster));
  busy.leave();
  await writing;
  const ranges = sent.map(({ body }) => {
    const { firstSlot, lastSlot } = (body as PushInput).write;
    return [firstSlot, lastSlot];
  });
  assert.equal(
    ranges.sort(([a = 0], [b = 0]) => a - b),
    [
      [0, 8191],
      [8192, 16_383],
    ],
  );
});

test("a row that is longer than a frame is TOO_LARGE before anything is sent, and holds up nothing", async () => {
  const { cluster, sent } = nodes(3, 16 * kib);
  const order = new WriteOrder();
  const keys = BigUint64Array.from({ length: 50 }, (_, i) => BigInt(i));
  const writes = [table(1, 8), table(2, 4096)].map((of) => writeOf("push", of, keys, new Prng(1)));
  const numbered = {
    request: { ack: "os", step: 1 } as const,
    sequence: order.nextSequence(),
    again: undefined,
  };
  const error: EmbershardError = await writeRows(
    { cluster, memories, order, session: 1n },
    writes,
    numbered,
    call(cluster),
  ).then(
    () => assert.unreachable(),
    (caught) => caught,
  );
  assert.is(error.code, "TOO_LARGE");
  assert.match(error.message, /^table "t2": a row of 16392 bytes .* 16384 bytes .*--frame-bytes$/);
  assert.equal(sent, []);
  assert.not.ok(order.busy);
});

test.run();
