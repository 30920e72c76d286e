// npm run sim [-- --seeds N --from S | --seed S --trace]: stories of clusters and of stores, on virtual time.
import { Command, InvalidArgumentError, Option } from "commander";
import { progressLine } from "../../lib/cli/bar.js";
import { type Job, type Kind, runJobs } from "./jobs.js";
import { simulate } from "./simulation.js";

const command = new Command("sim")
  .description(
    "Stories that seeds decide, on virtual time. Of clusters: workers that push and pull over a network that delays and cuts, nodes that are killed, disks that fail, slot maps that change. Of stores in one process: kills, power loss, full and failing disks. Whatever happens, acknowledged writes are there, once, and rows are those of the oracle.",
  )
  .option("--seeds <n>", "how many seeds to tell the stories of", wholeNumber, 100)
  .option("--from <seed>", "the first of them", wholeNumber, 0)
  .option("--seed <seed>", "this one only", wholeNumber)
  .addOption(
    new Option("--kind <kind>", "what the stories are of")
      .choices(["cluster", "store", "both"])
      .default("both"),
  )
  .option("--trace", "print all that happens in a cluster's story; with --seed")
  .option("--json", "print the result as JSON")
  .addHelpText(
    "after",
    "\nEnds with `N seeds, 0 failed`, or with a report of the story that failed and exit code 1. Ctrl-C ends it after those\nthat have begun, and says how many there were.",
  )
  .parse();

interface Options {
  readonly seeds: number;
  readonly from: number;
  readonly seed?: number;
  readonly kind: Kind | "both";
  readonly trace?: boolean;
  readonly json?: boolean;
}

const { seeds, from, seed, kind, trace, json } = command.opts<Options>();
if (trace && (seed === undefined || kind === "store"))
  command.error("--trace prints the story of one cluster: give --seed, and no other kind");
// Whoever reads a trace may have seen enough.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error;
  process.exit();
});
if (trace) await printStory(seed!);
else await tellAll();

async function printStory(one: number): Promise<void> {
  const { violation, ms, writes } = await simulate({ seed: one, trace: (line) => console.log(line) });
  console.log(`${writes} writes in ${(ms / 1000).toFixed(1)} s of virtual time`);
  console.log(violation ? `seed ${one} failed: ${violation.message}` : "1 seeds, 0 failed");
  process.exitCode = violation ? 1 : 0;
}

async function tellAll(): Promise<void> {
  const kinds: readonly Kind[] = kind === "both" ? ["cluster", "store"] : [kind];
  const first = seed ?? from;
  const count = seed === undefined ? seeds : 1;
  const progress = progressLine(process.stderr);
  const failures: { seed: number; kind: Kind; failure: string }[] = [];
  let told = 0;
  let interrupted = false;
  // Those that have begun are told to their ends.
  process.once("SIGINT", () => {
    interrupted = true;
  });
  await runJobs(
    jobsOf(first, count, kinds, () => interrupted),
    (outcome) => {
      told++;
      progress.show(told, count * kinds.length, `${Math.floor(told / kinds.length)} of ${count} seeds`);
      if (outcome.failure !== undefined) failures.push({ ...outcome, failure: outcome.failure });
    },
  );
  progress.clear();
  const whole = Math.floor(told / kinds.length);
  if (json) console.log(JSON.stringify({ seeds: whole, from: first, kinds, failures }));
  else for (const { failure } of failures) console.error(failure);
  if (!json && failures.length === 0) console.log(`${whole} seeds, 0 failed`);
  process.exitCode = failures.length > 0 ? 1 : interrupted ? 130 : 0;
}

function* jobsOf(first: number, count: number, kinds: readonly Kind[], ended: () => boolean): Generator<Job> {
  for (let one = first; one < first + count && !ended(); one++)
    for (const each of kinds) yield { seed: one, kind: each };
}

function wholeNumber(text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0 && text.trim() !== "") return value;
  throw new InvalidArgumentError(`found ${text}, expected a whole number from 0.`);
}
