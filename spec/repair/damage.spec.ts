// Whatever damages a file of a store is reported by verification and by opening, or has no effect on any row. The one
// exception: the end of the log beyond its durable mark. CASES and SEED widen it.
import { rmSync } from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { operationAt } from "../chaos/operations.js";
import { World } from "../chaos/world.js";
import { damageFile } from "./damage.js";
import { contentsOf, copyOf, fingerprint, type LivedStore, liveStore, scale } from "./lived-store.js";

const cases = Number(process.env.CASES ?? 20);
const firstSeed = Number(process.env.SEED ?? 1);
const perStore = 10;

const test = suite("damaged directories");

for (let begin = 0; begin < cases; begin += perStore) {
  test(`${Math.min(perStore, cases - begin)} damaged copies of store ${firstSeed + begin}`, async () => {
    const lived = await liveStore(firstSeed + begin);
    try {
      const expected = await contentsOf(copyOf(lived, "whole"));
      assert.is((await verifyStore(copyOf(lived, "whole"))).status, "ok");
      for (let i = begin; i < Math.min(cases, begin + perStore); i++)
        await tryOne(lived, firstSeed + i, expected);
    } finally {
      lived.remove();
    }
  });
}

async function tryOne(
  lived: LivedStore,
  seed: number,
  expected: Awaited<ReturnType<typeof contentsOf>>,
): Promise<void> {
  const random = new Prng(seed);
  const directory = copyOf(lived, `damaged-${seed}`);
  const what = `SEED=${seed} (store ${lived.seed}): ${damageFile(directory, random)}`;
  let reported: "ok" | "harmless" | "damage";
  let said = "";
  try {
    const { findings } = await verifyStore(directory);
    said = JSON.stringify(findings);
    reported = findings.some(({ severity }) => severity === "damage")
      ? "damage"
      : findings.some(({ severity }) => severity === "harmless")
        ? "harmless"
        : "ok";
  } catch (error) {
    assert.instance(error, EmbershardError, `${what}: verify: ${(error as Error).stack}`);
    reported = "damage";
  }
  let opened: typeof expected | undefined;
  try {
    opened = await contentsOf(directory);
  } catch (error) {
    assert.instance(error, EmbershardError, `${what}: open: ${(error as Error).stack}`);
    assert.is(reported, "damage", `${what}: opening says ${(error as Error).message}, verification ${said}`);
  }
  if (opened && fingerprint(opened.contents) !== fingerprint(expected.contents)) {
    assert.is(reported, "ok", `${what}: opened with other rows; ${said}`);
    assert.ok(suffixLost(lived, opened), `${what}: rows are wrong, and nothing was reported: ${said}`);
  }
  rmSync(directory, { recursive: true });
}

/** Whether a store holds what it held after an operation that its durable mark covers. */
function suffixLost(
  lived: LivedStore,
  { contents }: { contents: Parameters<World["difference"]>[0] },
): boolean {
  const world = new World();
  for (let i = 1; i <= lived.operations; i++) {
    world.apply(operationAt(lived.seed, i, scale), i);
    if (i >= lived.durable && world.difference(contents) === undefined) return true;
  }
  return false;
}

test.run();
