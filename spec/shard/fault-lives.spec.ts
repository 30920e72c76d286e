// Random lives on disks that fail. SEED and STORIES choose others.
import { test } from "uvu";
import { FaultLife, type LifeOptions, type Sabotage } from "./fault-life.js";

const stories = Number(process.env.STORIES ?? 3);
const firstSeed = Number(process.env.SEED ?? 0);

const none: Sabotage = () => {};
const fullLog: Sabotage = ({ files }, random) => {
  const used = files.names().reduce((sum, name) => sum + files.content(name).length, 0);
  files.capacityBytes = used + random.below(20_000);
};
const fullPages: Sabotage = ({ pages }, random) => {
  pages.capacityBytes = random.below(200_000);
};
const badWrite: Sabotage = ({ files }, random) =>
  files.failOnce("write", random.below(4), random.below(2) ? "EIO" : "ENOSPC");
const badSync: Sabotage = ({ files }, random) => files.failOnce("datasync", random.below(3));
const badAnything: Sabotage = ({ files }, random) => files.failOnce("any", random.below(20));
const badPages: Sabotage = ({ pages }, random) =>
  pages.failOnce("write", random.below(4), random.below(2) ? "EIO" : "ENOSPC");

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
    sabotage: [none, fullLog, fullPages, badWrite, badSync, badAnything, badPages],
    ends: ["kill", "crash", "close"],
  }));

test.run();
