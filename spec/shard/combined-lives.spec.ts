// Random lives of tables that combine storage, admission, eviction and counters, with versions, kills and several arenas.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { CombinedLife } from "./combined-life.js";

const first = Number(process.env.EMBERSHARD_SEED ?? 1);

async function live(
  lives: number,
  acts: number,
  wide: boolean,
  hotRows?: number,
): Promise<Record<string, number>> {
  const sum: Record<string, number> = {};
  for (let seed = first; seed < first + lives; seed++) {
    const life = new CombinedLife(seed, wide, hotRows);
    try {
      await life.begin();
      for (let i = 0; i < acts; i++) await life.act();
      await life.end();
    } catch (error) {
      throw new Error(`EMBERSHARD_SEED=${seed}, after ${life.log.join(", ")}: ${(error as Error).stack}`);
    }
    for (const [name, count] of Object.entries(life.tally)) sum[name] = (sum[name] ?? 0) + count;
  }
  return sum;
}

test("tables that combine everything live as their oracles", async () => {
  const lives = Number(process.env.EMBERSHARD_RUNS ?? 6);
  const tally = await live(lives, 80, false);
  if (process.env.EMBERSHARD_RUNS) console.log(tally);
  for (const name of ["evicted", "kills", "rollbacks", "versions", "decays"])
    assert.ok(tally[name] >= lives / 2, `${name} ${tally[name]}`);
});

test("... and when most of their rows are cold", async () => {
  const lives = Number(process.env.EMBERSHARD_RUNS ?? 2);
  for (const hotRows of [1, 25]) {
    const tally = await live(lives, 80, false, hotRows);
    if (process.env.EMBERSHARD_RUNS) console.log(hotRows, tally);
    for (const name of ["evicted", "kills", "rollbacks", "versions", "decays"])
      assert.ok(tally[name] >= lives / 2, `${name} ${tally[name]}`);
  }
});

test("... and while their rows are handed over to further arenas", async () => {
  const lives = Number(process.env.EMBERSHARD_WIDE_RUNS ?? 1);
  const tally = await live(lives, 12, true);
  if (process.env.EMBERSHARD_WIDE_RUNS) console.log(tally);
  assert.ok(tally.arenas > lives || lives === 0, `${tally.arenas} arenas`);
});

test.run();
