// Random lives on disks that fail, of a store whose tables are larger than their memory. SEED and STORIES choose others.
import { test } from "uvu";
import { FaultLife, type LifeOptions } from "./fault-life.js";
import { badPages, badReads, badSync, badWrite, everything, fullPages, none } from "./sabotages.js";

const stories = Number(process.env.STORIES ?? 2);
const firstSeed = Number(process.env.SEED ?? 0);

async function tell(options: Omit<LifeOptions, "seed">): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + stories; seed++) {
    // With STORIES given each seed has all.
    for (const hotRows of process.env.STORIES ? [1, 30, 120] : seed % 2 === 0 ? [1] : [30, 120]) {
      const life = new FaultLife({ ...options, seed, hotRows });
      try {
        for (let lives = 0; lives < 5; lives++) await life.live();
      } catch (error) {
        throw new Error(`seed ${seed}, ${hotRows} rows in memory: ${(error as Error).message}`, {
          cause: error,
        });
      }
    }
  }
}

test("cold rows: a kill at any moment keeps what was acknowledged, and a prefix of the rest", () =>
  tell({ operations: 50, sabotage: [none], ends: ["kill", "close"] }));

test("cold rows: power loss at any moment keeps what was acknowledged at fsync, and a prefix of the rest", () =>
  tell({ operations: 50, sabotage: [none], ends: ["crash"] }));

test("cold rows: a page store that fails and a log that does not", () =>
  tell({ operations: 60, sabotage: [fullPages, badPages, badReads], ends: ["kill", "crash", "close"] }));

test("cold rows: a log that fails and a page store that does not", () =>
  tell({ operations: 60, sabotage: [badWrite, badSync], ends: ["kill", "crash", "close"] }));

test("cold rows: everything that can fail, failing", () =>
  tell({ operations: 70, sabotage: [...everything, badReads], ends: ["kill", "crash", "close"] }));

test.run();
