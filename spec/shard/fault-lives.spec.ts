// Random lives on disks that fail. SEED and STORIES choose others.
import { test } from "uvu";
import { FaultLife, type LifeOptions } from "./fault-life.js";
import {
  badAnything,
  badPages,
  badSync,
  badWrite,
  everything,
  fullLog,
  fullPages,
  none,
} from "./sabotages.js";

const stories = Number(process.env.STORIES ?? 3);
const firstSeed = Number(process.env.SEED ?? 0);

async function tell(options: Omit<LifeOptions, "seed">): Promise<void> {
  for (let seed = firstSeed; seed < firstSeed + stories; seed++) {
    const life = new FaultLife({ ...options, seed });
    try {
      for (let lives = 0; lives < 6; lives++) await life.live();
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}

test("a kill at any moment keeps what was acknowledged, and a prefix of the rest", () =>
  tell({ operations: 60, sabotage: [none], ends: ["kill", "close"] }));

test("power loss at any moment keeps what was acknowledged at fsync, and a prefix of the rest", () =>
  tell({ operations: 60, sabotage: [none], ends: ["crash"] }));

test("a full log makes the store read-only; with room it goes on, nothing lost or doubled", () =>
  tell({ operations: 90, sabotage: [fullLog], ends: ["kill", "crash", "close"] }));

test("a full page store makes the store read-only; with room it goes on, nothing lost or doubled", () =>
  tell({ operations: 90, sabotage: [fullPages, badPages], ends: ["kill", "crash", "close"] }));

test("failed writes and syncs, which drop dirty pages, lose and double nothing", () =>
  tell({ operations: 90, sabotage: [badWrite, badSync, badAnything], ends: ["kill", "crash", "close"] }));

test("everything that can fail, failing", () =>
  tell({
    operations: 120,
    sabotage: everything,
    ends: ["kill", "crash", "close"],
  }));

test.run();
