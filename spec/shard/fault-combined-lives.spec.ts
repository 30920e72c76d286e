// Random lives of tables that combine everything, with cold rows, on disks that fail. SEED and STORIES choose others.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FaultCombinedLife, type FaultCombinedOptions } from "./fault-combined-life.js";
import { badPages, badReads, badSync, badWrite, everything, fullLog, fullPages, none } from "./sabotages.js";

const stories = Number(process.env.STORIES ?? 2);
const firstSeed = Number(process.env.SEED ?? 1);

async function tell(
  options: Omit<FaultCombinedOptions, "seed" | "hotRows">,
): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (let seed = firstSeed; seed < firstSeed + stories; seed++) {
    // With STORIES given each seed has all; some have no cold rows.
    for (const hotRows of process.env.STORIES ? [1, 25, 10_000] : seed % 2 === 0 ? [25] : [1]) {
      const life = new FaultCombinedLife({ ...options, seed, hotRows });
      try {
        for (let lives = 0; lives < 4; lives++) await life.live(25);
      } catch (error) {
        const what = `SEED=${seed}, ${hotRows} rows in memory, after ${life.told.slice(-40).join(", ")}`;
        throw new Error(`${what}: ${(error as Error).stack}`);
      }
      for (const [name, count] of Object.entries(life.tally)) sum[name] = (sum[name] ?? 0) + count;
    }
  }
  if (process.env.STORIES) console.log(sum);
  return sum;
}

test("combined lives that end with the power keep what was acknowledged at fsync", async () => {
  const { evicted, versions } = await tell({ sabotage: [none], ends: ["crash"] });
  assert.ok(evicted > 0 && versions > 0);
});

test("combined lives on disks that fill up go on when there is room", async () => {
  const { refused } = await tell({ sabotage: [fullLog, fullPages], ends: ["kill", "crash", "close"] });
  assert.ok(refused > 0);
});

test("combined lives on disks whose writes, syncs and reads fail lose and double nothing", async () => {
  const { healed } = await tell({
    sabotage: [...everything, badWrite, badSync, badPages, badReads],
    ends: ["kill", "crash", "close"],
  });
  assert.ok(healed > 0);
});

test.run();
