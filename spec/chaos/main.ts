// npm run chaos [-- --rounds N --seed S --only store|cluster|neighbours --json]
import { Command, Option } from "commander";
import { type ClusterTally, runClusterRounds } from "./cluster-rounds.js";
import { type NeighbourTally, runNeighbours, type Times } from "./neighbours.js";
import { ChaosFailure, runRounds, type Tally } from "./rounds.js";

const command = new Command("chaos")
  .description(
    "Kills processes that work on a store, then nodes and workers of a cluster, and checks that nothing acknowledged is " +
      "lost and nothing comes twice. `--only neighbours` measures instead: small pulls, alone and beside clients that read " +
      "slowly or send byte by byte, for --rounds times 3 s each.",
  )
  .option("--rounds <n>", "kills of each kind", Number, 100)
  .addOption(new Option("--only <kind>", "one kind").choices(["store", "cluster", "neighbours"]))
  .option("--seed <n>", "what decides everything but the moments", Number, Date.now() % 2 ** 31)
  .option("--json", "print the result as JSON")
  .parse();
const { rounds, seed, only, json } = command.opts<{
  rounds: number;
  seed: number;
  only?: "store" | "cluster" | "neighbours";
  json?: boolean;
}>();

function storeLine({ rounds: done, kills, closed, operations }: Tally): string {
  const byPhase = Object.entries(kills).map(([phase, count]) => `${phase} ${count}`);
  return `${done} of ${rounds} rounds, ${operations} operations held; killed in ${byPhase.join(", ")}; closed ${closed}`;
}

function clusterLine({
  rounds: done,
  nodeKills,
  workerKills,
  pushes,
  unheard,
  versions,
  versionsFailed,
}: ClusterTally): string {
  return `${done} of ${rounds} rounds, ${nodeKills} kills of nodes and ${workerKills} of workers under load; ${pushes} acknowledged pushes held, the fate of ${unheard} more was found out; ${versions} versions held, ${versionsFailed} came to nothing`;
}

/** Shows how it goes: on a terminal in place, elsewhere now and then. */
function progressOf<T extends { rounds: number }>(line: (tally: T) => string): (tally: T) => void {
  let shown = 0;
  return (tally) => {
    if (json || (!process.stderr.isTTY && tally.rounds - shown < 25)) return;
    shown = tally.rounds;
    process.stderr.write(process.stderr.isTTY ? `\r${line(tally)}\x1b[K` : `${line(tally)}\n`);
  };
}

function endLine(): void {
  if (process.stderr.isTTY && !json) process.stderr.write("\n");
}

function neighboursText({ alone, beside, cutOff }: NeighbourTally): string {
  const median = (times: readonly Times[], of: (times: Times) => number) =>
    times.map(of).sort((a, b) => a - b)[Math.floor(times.length / 2)];
  const line = (name: string, times: readonly Times[]) =>
    `${name.padEnd(15)}  p50 ${median(times, ({ p50 }) => p50).toFixed(3)} ms  p99 ${median(times, ({ p99 }) => p99).toFixed(3)} ms`;
  const ratio = median(beside, ({ p99 }) => p99) / median(alone, ({ p99 }) => p99);
  return `${line("alone", alone)}\n${line("with neighbours", beside)}\np99 ${ratio.toFixed(2)} times as long; ${cutOff} neighbours were cut off`;
}

if (only === "neighbours") {
  const tally = await runNeighbours(rounds, 3000);
  console.log(json ? JSON.stringify(tally) : neighboursText(tally));
  process.exit();
}

try {
  const done: { store?: Tally; cluster?: ClusterTally } = {};
  const lines: string[] = [];
  if (only !== "cluster") {
    done.store = await runRounds(rounds, seed, progressOf(storeLine));
    endLine();
    lines.push(`seed ${seed}: ${storeLine(done.store)}`);
  }
  if (only !== "store") {
    done.cluster = await runClusterRounds(rounds, seed, progressOf(clusterLine));
    endLine();
    lines.push(`seed ${seed}: cluster: ${clusterLine(done.cluster)}`);
  }
  if (json) console.log(JSON.stringify({ seed, ...done, lost: 0, doubled: 0 }));
  else console.log(`${lines.join("\n")}\nlost 0, doubled 0`);
} catch (error) {
  if (!(error instanceof ChaosFailure)) throw error;
  if (json) console.log(JSON.stringify({ seed: error.seed, round: error.round, failure: error.message }));
  else {
    const again = `npm run chaos -- --rounds 40 --seed ${error.seed}${only === undefined ? "" : ` --only ${only}`}`;
    console.error(`\n${error.message}\nagain: ${again}`);
  }
  process.exitCode = 1;
}
