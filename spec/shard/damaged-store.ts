// A store in memory whose files and pages can be damaged, and the judgement of what then opens.
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { numberOf, operationAt, type Scale } from "../chaos/operations.js";
import { Performer } from "../chaos/performer.js";
import { type Contents, readContents, World } from "../chaos/world.js";
import type { MemoryFiles } from "../store/memory-files.js";
import { MemoryPageStore } from "../store/memory-page-store.js";
import { FaultyMachine } from "./fault-fixture.js";

const scale: Scale = { keys: 30, batch: 8, burst: 20 };
const seed = 11;
/** Operations that a checkpoint has, that are synced, and that were written. */
const [checkpointed, synced] = [22, 32];
export const written = 40;

/** What a store lies on. */
export interface Disk {
  readonly files: MemoryFiles;
  readonly pages: MemoryPageStore;
}

/** The last record that is known to be durable. */
export let syncedLsn = 0;

async function newDisk(): Promise<Disk> {
  const machine = new FaultyMachine(1);
  const { store, shard } = await machine.open({ segmentBytes: 6000 });
  const performer = await Performer.over(store);
  for (let i = 1; i <= written; i++) {
    await performer.perform(operationAt(seed, i, scale), i);
    if (i === checkpointed - 8 || i === checkpointed) await store.checkpoint();
    if (i !== synced) continue;
    syncedLsn = shard.log.nextLsn - 1;
    await shard.log.synced(syncedLsn);
  }
  await shard.log.written(shard.log.nextLsn - 1);
  machine.kill();
  return machine;
}

/** The undamaged disk. */
export const whole = await newDisk();
await whole.pages.reopen();
export const entries: { key: Uint8Array; value: Uint8Array }[] = [];
for (const key of whole.pages.keys()) entries.push({ key, value: (await whole.pages.get(key))! });
export const segments = whole.files.names().filter((name) => name.endsWith(".log"));
export const manifest = entries.find(({ key }) => key.length === 1)!;
export const pages = entries.filter(({ key }) => key.length > 1);

/** A copy to damage. */
export async function copy(): Promise<Disk> {
  const copied = new MemoryPageStore(1);
  const batch = copied.batch();
  for (const { key, value } of entries) batch.put(key, value);
  await batch.write();
  return { files: whole.files.copy(), pages: copied };
}

function fingerprint({ tables, tensor }: Contents): string {
  const parts = [...tables].map(([name, { rows, learningRate }]) => {
    const sorted = [...rows].sort(([a], [b]) => (a < b ? -1 : 1));
    return `${name} ${learningRate} ${sorted.map(([key, { weights, state, frequency, lastStep }]) => `${key}:${weights}:${state}:${frequency}:${lastStep}`)}`;
  });
  return [...parts.sort(), `${tensor}`].join("\n");
}

async function recover({ files, pages }: Disk): Promise<{ contents: Contents; k: number }> {
  const machine = new FaultyMachine(1, files, pages);
  const { store } = await machine.open();
  const found = { contents: await readContents(store), k: numberOf(await store.mark()) };
  machine.kill();
  return found;
}

export const expected = await recover(await copy());
const expectedFingerprint = fingerprint(expected.contents);
const prefixes = new Map<number, World>();
for (let i = synced; i <= written; i++) {
  const world = new World();
  for (let j = 1; j <= i; j++) world.apply(operationAt(seed, j, scale), j);
  prefixes.set(i, world);
}

/** Reported by a coded error; as if nothing were damaged; or short of a suffix beyond the durable mark. */
export type Outcome = "reported" | "whole" | "suffix";

/** What a damaged store turns out to be; `names` must match a report. */
export async function judge(disk: Disk, what: string, names: RegExp): Promise<Outcome> {
  let found: { contents: Contents; k: number };
  try {
    found = await recover(disk);
  } catch (error) {
    assert.instance(error, EmbershardError, `${what}: ${(error as Error).stack}`);
    const { code, message } = error as EmbershardError;
    assert.ok(code === "CORRUPT" || code === "NEWER_FORMAT", `${what}: ${code} ${message}`);
    assert.match(message, names, what);
    return "reported";
  }
  if (fingerprint(found.contents) === expectedFingerprint && found.k === expected.k) return "whole";
  const at = [...prefixes].find(
    ([i, world]) => i >= Math.max(found.k, synced) && world.difference(found.contents) === undefined,
  );
  assert.ok(at, `${what}: rows are wrong, and nothing was reported`);
  return "suffix";
}
