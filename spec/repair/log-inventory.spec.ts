// What the tools say of a log's end is what its reader makes of it.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { followLog, takeLogInventory } from "../../lib/repair/log-inventory.js";
import { segmentName } from "../../lib/store/log-format.js";
import { changedLog } from "../store/held-files.js";
import { identity, readAll } from "../store/log-fixture.js";
import type { MemoryFiles } from "../store/memory-files.js";

test("where power failed before what was left was durable, the log ends in it, and nothing is damaged", async () => {
  const { held, log, from, left, entered, lastLsn } = await changedLog();
  const torn = (files: MemoryFiles): MemoryFiles => {
    const name = segmentName(left);
    files.cut(name, files.content(name).length - 9);
    return files;
  };
  const whole = await follow(held.memory.copy(), from);
  assert.equal([whole.goodLsn, whole.damaged], [lastLsn + 1, false]);
  const files = torn(held.memory.copy());
  const state = await follow(files, from);
  assert.is(state.goodLsn, entered - 1);
  assert.is(state.goodLsn, (await readAll(files, { from })).end.nextLsn);
  assert.is(state.break?.file, segmentName(left));
  assert.not(state.damaged);
  const headless = torn(held.memory.copy());
  headless.flipBit(segmentName(entered), 8 * 33);
  assert.ok((await follow(headless, from)).damaged, "its header does not verify");
  held.release();
  await log.synced(lastLsn);
  const promised = await follow(torn(held.memory.copy()), from);
  assert.equal([promised.goodLsn, promised.damaged], [entered - 1, true]);
  await log.close();
});

test("what a file that was used again held before, behind the end of what was left, is no damage", async () => {
  const { held, log, from, left, entered, lastLsn } = await changedLog();
  const longer = (files: MemoryFiles): MemoryFiles => {
    const name = segmentName(left);
    files.put(name, Buffer.concat([files.content(name), Buffer.alloc(300, 7)]));
    return files;
  };
  const state = await follow(longer(held.memory.copy()), from);
  assert.equal([state.goodLsn, state.damaged], [lastLsn + 1, false]);
  assert.is((await readAll(longer(held.memory.copy()), { from })).lsns.at(-1), lastLsn);
  held.release();
  await log.synced(lastLsn);
  const promised = await follow(longer(held.memory.copy()), from);
  assert.equal([promised.goodLsn, promised.damaged], [entered, true]);
  await log.close();
});

async function follow(files: MemoryFiles, from: number) {
  return followLog(await takeLogInventory(files, { identity }), from);
}

test.run();
