// A repair that is killed between the two renames by which the repaired store takes its place, or whose store is opened meanwhile.
import { appendFileSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { openStore } from "../../lib/index.js";
import { repairStore } from "../../lib/repair/repair-store.js";
import { contentsOf, copyOf, fingerprint, type LivedStore, liveStore } from "./lived-store.js";

const test = suite<{ lived: LivedStore }>("killed between the renames");
test.before(async (context) => {
  context.lived = await liveStore(3, 10);
});
test.after(({ lived }) => lived.remove());

test("the same command ends it: the repaired store is there, the damaged one is kept", async ({ lived }) => {
  const expected = fingerprint((await contentsOf(copyOf(lived, "expected"))).contents);
  const directory = copyOf(lived, "killed");
  rmSync(join(directory, "shards", "0000", "log", "MARK"));
  const { status, original } = await repairStore(directory);
  assert.is(status, "repaired");
  // What a kill between the two leaves: the first rename was made, the second was not.
  renameSync(directory, `${directory}.repairing`);
  try {
    await openStore(directory);
    assert.unreachable("an empty store was made");
  } catch (error) {
    assert.is((error as { code?: string }).code, "NOT_A_STORE");
    assert.match((error as Error).message, `\`embershard repair ${directory}\` was ended before`);
  }
  assert.is((await repairStore(directory)).status, "whole");
  assert.not.ok(existsSync(`${directory}.repairing`));
  assert.ok(existsSync(original!));
  assert.is(fingerprint((await contentsOf(directory)).contents), expected);
});

test("a store that somebody opens meanwhile is not repaired as it was before", async ({ lived }) => {
  const directory = copyOf(lived, "touched");
  rmSync(join(directory, "shards", "0000", "log", "MARK"));
  let touched = false;
  const onProgress = () => {
    // Of what opening a store changes, the first.
    if (!touched) appendFileSync(join(directory, "shards", "0000", "pages", "LOG"), "opened\n");
    touched = true;
  };
  try {
    await repairStore(directory, { onProgress });
    assert.unreachable("what was pushed would have been kept with the damaged store only");
  } catch (error) {
    assert.is((error as { code?: string }).code, "LOCKED");
  }
  assert.ok(touched);
  assert.not.ok(existsSync(`${directory}.repairing`));
  assert.is((await repairStore(directory)).status, "repaired");
});

test("what a repair had not finished never takes a store's place", async ({ lived }) => {
  const directory = join(lived.directory, "..", "unfinished");
  mkdirSync(`${directory}.repairing`);
  for (const name of ["store", "creating"]) writeFileSync(join(`${directory}.repairing`, name), "");
  try {
    await repairStore(directory);
    assert.unreachable();
  } catch (error) {
    assert.is((error as { code?: string }).code, "NOT_A_STORE");
  }
  assert.not.ok(existsSync(directory));
});

test.run();
