// npm run chaos [-- --rounds N --seed S --json]
import { Command } from "commander";
import { ChaosFailure, runRounds, type Tally } from "./rounds.js";

const command = new Command("chaos")
  .description(
    "Kills processes that work on a store, and checks that nothing acknowledged is lost and nothing comes twice.",
  )
  .option("--rounds <n>", "kills", Number, 100)
  .option("--seed <n>", "what decides everything but the moments", Number, Date.now() % 2 ** 31)
  .option("--json", "print the result as JSON")
  .parse();
const { rounds, seed, json } = command.opts<{ rounds: number; seed: number; json?: boolean }>();

function line({ rounds: done, kills, closed, operations }: Tally): string {
  const byPhase = Object.entries(kills).map(([phase, count]) => `${phase} ${count}`);
  return `${done} of ${rounds} rounds, ${operations} operations held; killed in ${byPhase.join(", ")}; closed ${closed}`;
}

let shown = 0;
function progress(tally: Tally): void {
  if (json || (!process.stderr.isTTY && tally.rounds - shown < 25)) return;
  shown = tally.rounds;
  process.stderr.write(process.stderr.isTTY ? `\r${line(tally)}\x1b[K` : `${line(tally)}\n`);
}

try {
  const tally = await runRounds(rounds, seed, progress);
  if (process.stderr.isTTY && !json) process.stderr.write("\n");
  if (json) console.log(JSON.stringify({ seed, ...tally, lost: 0, doubled: 0 }));
  else console.log(`seed ${seed}: ${line(tally)}\nlost 0, doubled 0`);
} catch (error) {
  if (!(error instanceof ChaosFailure)) throw error;
  if (json) console.log(JSON.stringify({ seed: error.seed, round: error.round, failure: error.message }));
  else console.error(`\n${error.message}\nagain: npm run chaos -- --rounds 40 --seed ${error.seed}`);
  process.exitCode = 1;
}
