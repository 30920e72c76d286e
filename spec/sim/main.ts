// npm run sim [-- --seeds N | --seed S] [--json]: random lives of a store on failing disks, on virtual time.
import { Command } from "commander";
import { FaultLife } from "../shard/fault-life.js";
import { everything } from "../shard/sabotages.js";

const command = new Command("sim")
  .description(
    "Lives of a store in memory, each decided by its seed: pushes, checkpoints, kills, power loss, full and failing disks. After each life the recovered store is compared with the oracle.",
  )
  .option("--seeds <n>", "how many lives' stories to tell", Number, 100)
  .option("--seed <n>", "tell this one only", Number)
  .option("--json", "print the result as JSON")
  .parse();
const { seeds, seed, json } = command.opts<{ seeds: number; seed?: number; json?: boolean }>();

const first = seed ?? 0;
const last = seed === undefined ? seeds : seed + 1;
let healed = 0;
for (let one = first; one < last; one++) {
  const life = new FaultLife({
    seed: one,
    operations: 120,
    sabotage: everything,
    ends: ["kill", "crash", "close"],
  });
  try {
    for (let lives = 0; lives < 6; lives++) await life.live();
  } catch (error) {
    if (json) console.log(JSON.stringify({ seed: one, failure: (error as Error).message }));
    else console.error(`\nseed ${one}: ${(error as Error).stack}\nagain: npm run sim -- --seed ${one}`);
    process.exit(1);
  }
  healed += life.healed;
  if (process.stderr.isTTY && !json) process.stderr.write(`\r${one + 1 - first} of ${last - first}\x1b[K`);
}
if (process.stderr.isTTY && !json) process.stderr.write("\n");
if (json) console.log(JSON.stringify({ seeds: last - first, healed, lost: 0, doubled: 0 }));
else console.log(`${last - first} stories of 6 lives, healed ${healed} times: lost 0, doubled 0`);
