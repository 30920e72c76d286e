// npm run fuzz [-- --cases N --seed S --repair --frames --json]: stores whose bytes were changed at random places are opened, and exported files
// likewise imported.
import { Command } from "commander";
import { Prng } from "../../lib/base/prng.js";
import { copy, type Disk, entries, judge, type Outcome, whole } from "../shard/damaged-store.js";
import { MutatedFiles } from "../transfer/mutated-files.js";
import { fuzzFrames } from "./frames.js";
import { mutate } from "./mutation.js";
import { fuzzRepairs } from "./repairs.js";

const command = new Command("fuzz")
  .description(
    "Opens stores with random damage in their log, marks, pages and manifest: each is reported, without effect, or short of a suffix that was not known to be durable. Imports as many exported files with random damage: each is refused, and nothing changed, or a good file of other rows.",
  )
  .option("--cases <n>", "damaged stores, and as many damaged files", Number, 10_000)
  .option("--seed <n>", "what decides the damage", Number, Date.now() % 2 ** 31)
  .option("--repair", "instead, repair damaged directories, and look for losses that were not announced")
  .option("--frames", "instead, read changed frames")
  .option("--json", "print the result as JSON")
  .parse();
const { cases, seed, json, repair, frames } = command.opts<{
  cases: number;
  seed: number;
  json?: boolean;
  repair?: boolean;
  frames?: boolean;
}>();
if (frames) {
  fuzzFrames({ cases, seed, json: json === true });
  process.exit();
}
if (repair) {
  await fuzzRepairs({ cases, seed, json: json === true });
  process.exit();
}

async function damage(disk: Disk, random: Prng): Promise<string> {
  const names = whole.files.names();
  const which = random.below(names.length + entries.length);
  if (which < names.length) {
    disk.files.put(names[which], mutate(disk.files.content(names[which]), random));
    return names[which];
  }
  const { key, value } = entries[which - names.length];
  const batch = disk.pages.batch();
  batch.put(key, mutate(value, random));
  await batch.write();
  return `page store key ${Buffer.from(key).toString("hex")}`;
}

const outcomes: Record<Outcome, number> = { reported: 0, whole: 0, suffix: 0 };
const files = await MutatedFiles.create();
const fileOutcomes = { refused: 0, imported: 0 };
for (let i = 0; i < cases; i++) {
  const random = new Prng(seed + i);
  const disk = await copy();
  const damaged: string[] = [];
  for (let times = 1 + random.below(2); times > 0; times--) damaged.push(await damage(disk, random));
  try {
    outcomes[await judge(disk, damaged.join(", "), /./)]++;
    fileOutcomes[await files.one(random)]++;
  } catch (error) {
    const again = `npm run fuzz -- --cases 1 --seed ${seed + i}`;
    if (json) console.log(JSON.stringify({ seed: seed + i, failure: (error as Error).message }));
    else console.error(`\n${(error as Error).message}\nagain: ${again}`);
    process.exit(1);
  }
  if (process.stderr.isTTY && !json && i % 20 === 19) process.stderr.write(`\r${i + 1} of ${cases}\x1b[K`);
}
await files.end();
if (process.stderr.isTTY && !json) process.stderr.write("\n");
const { reported, whole: unharmed, suffix } = outcomes;
if (json) console.log(JSON.stringify({ seed, cases, ...outcomes, files: fileOutcomes }));
else
  console.log(
    `seed ${seed}: ${cases} damaged stores: ${reported} reported, ${unharmed} without effect, ${suffix} short of an undurable suffix, 0 wrong; ${cases} damaged files: ${fileOutcomes.refused} refused, ${fileOutcomes.imported} good, 0 wrong`,
  );
