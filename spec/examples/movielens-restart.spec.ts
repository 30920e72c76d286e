import { fork } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { openStore, type Table, type Tensor } from "../../lib/index.js";

const test = suite<{ directory: string }>("movielens restart");

const WORKER = fileURLToPath(new URL("./movielens-worker.js", import.meta.url));
/** Of an unkilled run: 8 epochs of 100 batches. */
const STEPS = 800;

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "movielens-restart-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

interface Outcome {
  /** What the worker said at its end; undefined if it was killed before. */
  readonly result: { steps: number; rmse: number; curve: number[][] } | undefined;
  /** Steps that were heard of. */
  readonly heard: number;
}

/** Runs a worker, and kills it once it told of `killAfter` steps. */
async function work(directory: string, killAfter = Number.POSITIVE_INFINITY): Promise<Outcome> {
  const worker = fork(WORKER, [directory]);
  let heard = 0;
  let result: Outcome["result"];
  worker.on("message", (message: object) => {
    if ("steps" in message) result = message as Outcome["result"];
    else if (++heard === killAfter) worker.kill("SIGKILL");
  });
  const [code, signal] = await once(worker, "exit");
  assert.ok(code === 0 || signal === "SIGKILL", `the worker ended with ${code ?? signal}`);
  return { result, heard };
}

/** Every bit of every table and tensor, in the order of keys, and the mark. Works on a copy of the directory. */
async function contents(directory: string): Promise<Map<string, unknown>> {
  const copy = `${directory}-copy`;
  cpSync(directory, copy, { recursive: true });
  const store = await openStore(copy, { create: false, control: false });
  const all = new Map<string, unknown>([["mark", new TextDecoder().decode(await store.mark())]]);
  for (const { name, shape } of await store.tables()) {
    all.set(
      name,
      shape === undefined ? await rowsOf(await store.table(name)) : await bitsOf(await store.tensor(name)),
    );
  }
  await store.close();
  rmSync(copy, { recursive: true });
  return all;
}

async function rowsOf(table: Table): Promise<[key: bigint, row: string][]> {
  const rows: [bigint, string][] = [];
  const { dim, stateFloats } = table;
  for await (const batch of table.scan()) {
    for (const [i, key] of batch.keys.entries()) {
      const weights = hex(batch.rows.slice(i * dim, (i + 1) * dim));
      const state = hex(batch.state.slice(i * stateFloats, (i + 1) * stateFloats));
      rows.push([key, `${weights} ${state} ${batch.frequency[i]} ${batch.lastStep[i]}`]);
    }
  }
  return rows.sort(([a], [b]) => (a < b ? -1 : 1));
}

/** A tensor's values before and after one more step: how far that goes tells the state, which cannot be pulled. */
async function bitsOf(tensor: Tensor): Promise<string> {
  const before = await tensor.pull();
  await tensor.push(new Float32Array(tensor.length).fill(1));
  return `${hex(before)} ${hex(await tensor.pull())}`;
}

function hex(numbers: Float32Array): string {
  return Buffer.from(numbers.buffer, numbers.byteOffset, numbers.byteLength).toString("hex");
}

test("killed again and again, it ends with the bits of a run that never was", async ({ directory }) => {
  const whole = await work(join(directory, "whole"));
  assert.is(whole.result?.steps, STEPS);
  const expected = await contents(join(directory, "whole"));

  const random = new Prng(20);
  const killed = join(directory, "killed");
  let kills = 0;
  let last: Outcome["result"];
  while (last === undefined) {
    const { result } = await work(killed, kills < 6 ? 1 + random.below(120) : undefined);
    if (result === undefined) kills++;
    last = result;
  }
  assert.ok(kills >= 3, `only ${kills} kills came before the end`);
  assert.ok(last.steps < STEPS, "the last run made the steps that were left");
  assert.equal({ ...last, steps: 0 }, { ...whole.result, steps: 0 });
  const actual = await contents(killed);
  assert.equal([...actual.keys()].sort(), ["bias", "factors", "mark", "weights"]);
  assert.equal(actual, expected);
});

test("a finished run is reported and not trained on", async ({ directory }) => {
  const first = await work(join(directory, "run"));
  const before = await contents(join(directory, "run"));
  const second = await work(join(directory, "run"));
  assert.is(second.result?.steps, 0);
  assert.equal(second.result, { ...first.result, steps: 0 });
  assert.equal(await contents(join(directory, "run")), before);
});

test.run();
