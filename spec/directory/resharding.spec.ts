// Another number of shards: the same rows, to the bit, whatever they were before.
import { spawnSync } from "node:child_process";
import fs, {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { inspectDirectory } from "../../lib/directory/identity.js";
import { makeDirectory } from "../../lib/directory/making.js";
import { reshardDirectory } from "../../lib/directory/resharding.js";
import { openShardOf, type ShardSettings } from "../../lib/directory/shard-opening.js";
import { adagrad, adam, EmbershardError, openStore, type TableOptions } from "../../lib/index.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { shardsOfSlots } from "../../lib/ring/placement.js";
import { copyRows } from "../../lib/shard/row-copies.js";
import type { Shard } from "../../lib/shard/shard.js";
import { parts } from "../../lib/table/candidates.js";
import { runHere } from "../cli/run-command.js";
import { randomFloats } from "../laws/twin.js";

const test = suite<{ directory: string; dir: string }>("resharding");
test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "embershard-reshard-"));
  context.dir = join(context.directory, "model");
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

const settings: ShardSettings = { arenaBytes: 64 << 20, hugePages: "off", keepsAll: true };
const slots = 16_384;
const tables: Readonly<Record<string, TableOptions>> = {
  plain: { dim: 5, optimizer: adam({ learningRate: 0.01 }) },
  halves: { dim: 3, optimizer: adagrad({ learningRate: 0.1 }), storage: "int8", logged: false },
  exact: { dim: 2, optimizer: adagrad({ learningRate: 0.1 }), admission: { after: 3 } },
  sketched: {
    dim: 2,
    optimizer: adagrad({ learningRate: 0.1 }),
    admission: { after: 3, counter: { sketchBytes: 2 << 20 } },
  },
  counted: {
    dim: 2,
    optimizer: adagrad({ learningRate: 0.1 }),
    counters: { names: ["show", "click"], decay: 0.5 },
    eviction: { maxRows: 100, policy: "lfu" },
  },
};

async function withShards<T>(dir: string, work: (shards: Shard[]) => Promise<T>): Promise<T> {
  const { shards: count } = (await inspectDirectory(dir, { create: false }))!;
  const shards: Shard[] = [];
  try {
    for (let number = 0; number < count; number++)
      shards.push((await openShardOf(dir, number, settings)).shard);
    return await work(shards);
  } finally {
    for (const shard of shards) await shard.close();
  }
}

/** Pushes that go where their slots are, of a worker with sequences. */
function fill(dir: string, seed: number, steps: number): Promise<void> {
  return withShards(dir, async (shards) => {
    const random = new Prng(seed);
    const shardOf = shardsOfSlots(shards.length, slots);
    for (const shard of shards) {
      for (const [name, options] of Object.entries(tables)) await shard.openTable(name, options);
      await shard.workers.register("w", 7n, false);
    }
    for (let step = 1; step <= steps; step++) {
      const keysOf = new Map(
        Object.keys(tables).map((name) => [
          name,
          Array.from({ length: 200 }, () => BigInt(random.below(900))),
        ]),
      );
      for (const [s, shard] of shards.entries()) {
        const writes = [...keysOf].map(([name, all]) => {
          const table = shard.tables.get(name)!;
          const own = all.filter((key) => shardOf[Number(hashKey(key, table.placement) >> 50n)] === s);
          const values = randomFloats(random, own.length * table.dim);
          return { table, kind: "push", keys: BigUint64Array.from(own), values, learningRate: 0.1 } as const;
        });
        const origin = {
          worker: shard.workers.known.keys().next().value!,
          session: 7n,
          sequence: BigInt(1000 * seed + step),
          clock: BigInt(step),
          first: shardOf.indexOf(s),
          last: shardOf.lastIndexOf(s),
        };
        await shard.write(writes, { ack: "memory", step, mark: Uint8Array.of(step), origin });
      }
      if (step % 5 === 0) for (const shard of shards) await shard.decay(shard.tables.get("counted")!);
    }
    for (const shard of shards) await shard.checkpoint({});
  });
}

/** Everything that a store has: rows as bytes, by table and key; sequences by slot; marks. */
function contents(dir: string): Promise<Map<string, string>> {
  return withShards(dir, async (shards) => {
    const found = new Map<string, string>();
    const shardOf = shardsOfSlots(shards.length, slots);
    for (const [s, shard] of shards.entries()) {
      for (const table of shard.tables.values()) {
        found.set(`${table.definition.name} step, epoch`, `${table.highestStep}, ${table.epoch}`);
        for (const [p, part] of parts(table).entries()) {
          for (const { keys, records } of copyRows(shard.state, part, new Uint8Array(slots).fill(1)))
            for (const [i, key] of keys.entries()) {
              const slot = part.bySlot ? Number(key) : Number(hashKey(key, part.placement) >> 50n);
              assert.is(shardOf[slot], s, "a row is where its slot is");
              const record = records.subarray(i * part.recordBytes, (i + 1) * part.recordBytes);
              const name = `${table.definition.name} ${p} ${key}`;
              assert.not(found.has(name), name);
              found.set(name, Buffer.from(record).toString("hex"));
            }
        }
      }
      for (const { name, session, clock, slots: had } of shard.workers.known.values())
        for (const [first, last, sequence] of had.notes())
          for (let slot = first; slot <= last; slot++)
            if (shardOf[slot] === s) found.set(`${name} slot ${slot}`, `${session} ${clock} ${sequence}`);
      found.set("mark", String(shard.mark));
    }
    return found;
  });
}

function same(found: Map<string, string>, expected: Map<string, string>): void {
  for (const [what, value] of expected)
    if (found.get(what) !== value) assert.is(found.get(what), value, what);
  assert.is(found.size, expected.size);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "done";
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}

test("one, three, one again: the same bits, and work goes on between", async ({ directory, dir }) => {
  await makeDirectory(dir, { shards: 1 });
  const { id } = (await inspectDirectory(dir, { create: false }))!;
  await fill(dir, 1, 10);
  for (const [round, shards] of [3, 1].entries()) {
    const before = await contents(dir);
    assert.ok(before.size > 1500 + slots, String(before.size));
    const info = await reshardDirectory(dir, shards);
    assert.is(info.to, shards);
    assert.ok(info.rows > 1000);
    same(await contents(dir), before);
    assert.equal(await inspectDirectory(dir, { create: false }), { format: 1, id, slots, shards });
    assert.ok(existsSync(info.original!));
    assert.not(existsSync(`${dir}.resharding`));
    await fill(dir, 2 + round, 3);
  }
  assert.equal(await reshardDirectory(dir, 1), { from: 1, to: 1, rows: 0, original: null });
  const store = await openStore(dir, { control: false });
  assert.is((await store.tables()).length, 5);
  await store.close();
  assert.ok(existsSync(directory));
});

test("cut short again and again, it goes on and ends with the same bits", async ({ dir }) => {
  await makeDirectory(dir, { shards: 3 });
  await fill(dir, 5, 6);
  const before = await contents(dir);
  let aborted = 0;
  for (let most = 4; ; most *= 5) {
    const stop = new AbortController();
    let told = 0;
    const onProgress = () => {
      if (++told >= most) stop.abort();
    };
    const outcome = await codeOf(reshardDirectory(dir, 2, { signal: stop.signal, onProgress }));
    if (outcome === "done") break;
    assert.is(outcome, "ABORTED");
    assert.is((await inspectDirectory(dir, { create: false }))!.shards, 3);
    aborted++;
  }
  assert.ok(aborted > 1, `${aborted} times`);
  same(await contents(dir), before);
});

/** Reshards three shards to two, until the first row of the third: the other two are in the new directory, whole. */
async function reshardTwoOfThree(dir: string): Promise<void> {
  const stop = new AbortController();
  let shard = 0;
  let last = 0;
  const onProgress = ({ rows }: { rows: number }) => {
    // Rows are counted shard by shard.
    if (rows < last && ++shard === 2) stop.abort();
    last = rows;
  };
  assert.is(await codeOf(reshardDirectory(dir, 2, { signal: stop.signal, onProgress })), "ABORTED");
}

test("cut short it goes on, but begins anew where a shard that was read has changed", async ({ dir }) => {
  await makeDirectory(dir, { shards: 3 });
  await fill(dir, 5, 6);
  await reshardTwoOfThree(dir);
  const all = await contents(dir);
  const goesOn = await reshardDirectory(dir, 2);
  same(await contents(dir), all);
  rmSync(dir, { recursive: true });
  renameSync(goesOn.original!, dir);
  for (const changed of [0, 1, 2]) {
    await reshardTwoOfThree(dir);
    await withShards(dir, async (shards) => {
      const table = shards[changed].tables.get("plain")!;
      const [{ keys }] = copyRows(shards[changed].state, table, new Uint8Array(slots).fill(1));
      const values = new Float32Array(keys.length * table.dim).fill(changed + 1);
      const write = { table, kind: "push", keys, values, learningRate: 0.1 } as const;
      await shards[changed].write([write], { ack: "memory", step: 6 });
    });
    const before = await contents(dir);
    const anew = await reshardDirectory(dir, 2);
    assert.ok(anew.rows > 2 * goesOn.rows, `${anew.rows} rows after ${goesOn.rows}`);
    same(await contents(dir), before);
    rmSync(dir, { recursive: true });
    renameSync(anew.original!, dir);
  }
});

test("what has not copied everything is not taken for the store where that is gone", async ({ dir }) => {
  await makeDirectory(dir, { shards: 3 });
  await fill(dir, 5, 3);
  await reshardTwoOfThree(dir);
  renameSync(dir, `${dir}.moved`);
  assert.is(await codeOf(reshardDirectory(dir, 2)), "NOT_A_STORE");
  assert.not(existsSync(dir));
  renameSync(`${dir}.moved`, dir);
  const before = await contents(dir);
  await reshardDirectory(dir, 2);
  same(await contents(dir), before);
  // Killed between the two renames.
  renameSync(dir, `${dir}.resharding`);
  const progress = { from: 3, done: 3, read: [] };
  writeFileSync(join(`${dir}.resharding`, "resharding"), JSON.stringify(progress));
  for (const open of [
    () => openStore(dir, { control: false }),
    () => openStore(dir, { threads: 2 }),
    () => openStore(dir, { create: false }),
    () => makeDirectory(dir),
  ]) {
    const error = await open().then(
      () => assert.unreachable("an empty store was made"),
      (error: EmbershardError) => error,
    );
    assert.is(error!.code, "NOT_A_STORE");
    assert.match(error!.message, `\`embershard reshard ${dir} --shards 2\` was ended before`);
  }
  assert.not(existsSync(dir));
  assert.equal(await reshardDirectory(dir, 2), { from: 2, to: 2, rows: 0, original: null });
  same(await contents(dir), before);
});

test("a directory of somebody else's that is in the way stays", async ({ dir }) => {
  await makeDirectory(dir, { shards: 1 });
  await fill(dir, 5, 1);
  const other = `${dir}.resharding`;
  mkdirSync(other);
  writeFileSync(join(other, "thesis.txt"), "years of work");
  assert.is(await codeOf(reshardDirectory(dir, 2)), "NOT_A_STORE");
  assert.equal(readdirSync(other), ["thesis.txt"]);
  rmSync(other, { recursive: true });
  await reshardDirectory(dir, 2);
});

test("the store is locked until it has been copied", async ({ dir }) => {
  await makeDirectory(dir, { shards: 2 });
  await fill(dir, 5, 2);
  const opening = new URL("../../lib/directory/shard-opening.js", import.meta.url);
  const script = `import { openShardOf } from ${JSON.stringify(opening.href)};
    const settings = { arenaBytes: 64 << 20, hugePages: "off" };
    const code = await openShardOf(${JSON.stringify(dir)}, 0, settings).then(() => "open", (error) => error.code);
    process.stdout.write(code, () => process.exit());`;
  const codes: string[] = [];
  let last = 0;
  const onProgress = ({ rows }: { rows: number }) => {
    const isNext = rows < last;
    last = rows;
    // A process of its own: this one is busy until it has ended.
    if (isNext)
      codes.push(spawnSync(process.execPath, ["--input-type=module", "-e", script]).stdout.toString());
  };
  await reshardDirectory(dir, 1, { onProgress });
  assert.equal(codes, ["LOCKED"]);
});

test("nobody opens the store between its being copied and its getting another name", async ({ dir }) => {
  await makeDirectory(dir, { shards: 2 });
  await fill(dir, 5, 2);
  const codes: string[] = [];
  const { rename } = fs.promises;
  fs.promises.rename = async (from, to) => {
    if (from === dir || to === dir)
      codes.push(await codeOf(openShardOf(dir, 0, settings).then(({ shard }) => shard.close())));
    await rename(from, to);
  };
  syncBuiltinESMExports();
  try {
    await reshardDirectory(dir, 1);
  } finally {
    fs.promises.rename = rename;
    syncBuiltinESMExports();
  }
  assert.equal(codes, ["LOCKED", "NOT_A_STORE"]);
});

test("what cannot be resharded says so and stays as it was", async ({ dir }) => {
  const store = await openStore(dir, { control: false });
  const table = await store.table("plain", tables.plain);
  await table.push(BigUint64Array.of(1n), new Float32Array(5));
  assert.is(await codeOf(reshardDirectory(dir, 2)), "LOCKED");
  await store.checkpoint({ version: "v" });
  await store.close();
  assert.is(await codeOf(reshardDirectory(dir, 2)), "UNSUPPORTED");
  const again = await openStore(dir, { control: false });
  await again.deleteVersion("v");
  await again.table("limited", { ...tables.plain, memory: 1 << 20 });
  await again.close();
  assert.is(await codeOf(reshardDirectory(dir, 2)), "UNSUPPORTED");
  // More than `openStore` and `embershard serve` have threads for.
  for (const shards of [0, 1.5, 257])
    assert.is(await codeOf(reshardDirectory(dir, shards)), "INVALID_OPTIONS");
  assert.is((await inspectDirectory(dir, { create: false }))!.shards, 1);
});

test("the command says what it did", async ({ dir }) => {
  await makeDirectory(dir, { shards: 1 });
  await fill(dir, 9, 2);
  const done = await runHere(["reshard", dir, "--shards", "2"]);
  assert.match(
    done.out,
    /^1 shard became 2: [\d,]+ rows copied\nthe store as it was is kept: .*model\.1-shards\n$/,
    done.err,
  );
  const again = await runHere(["reshard", dir, "--shards", "2", "--json"]);
  assert.equal(JSON.parse(again.out), { from: 2, to: 2, rows: 0, original: null });
});

test.run();
