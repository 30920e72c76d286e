import { basename, relative } from "node:path";
import { Command } from "commander";
import { EmbershardError } from "../base/errors.js";
import { directoryPath, teach, wholeNumber } from "./options.js";
import type { Output } from "./output.js";

interface DemoOptions {
  readonly dir?: string;
  readonly epochs?: number;
  readonly seed?: number;
  readonly fresh?: boolean;
  readonly json?: boolean;
  readonly cluster?: boolean;
}

/** What `run.ts` of `examples/movielens` and `examples/cluster` exports. It stands on the public API, so it is found at run time, not imported. */
interface Example {
  run(options: DemoOptions & { path?: string | undefined; command: string }, output: Output): Promise<number>;
}

export function demoCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("demo")
    .summary("train a recommender in a store, and see it survive being killed")
    .description(
      "Trains a factorization machine whose parameters all live in an Embershard store, and reports its error on " +
        "ratings that it never saw. End it with Ctrl-C or kill -9: the same command goes on where it was. With --cluster " +
        "the parameters live on three nodes, four workers train at once, and a node is killed in the middle.",
    )
    .argument("[path]", "directory of MovieLens 100K (u.data, u.item, u.user); generated data without it")
    .option(
      "--dir <dir>",
      "where parameters and learning curve go (default: out/movielens, or out/movielens-generated)",
      directoryPath,
    )
    .option(
      "--epochs <n>",
      "epochs in all; more than a finished run has, and it goes on (default: 30)",
      wholeNumber,
    )
    .option("--seed <n>", "seed of the split, the order and the initial values (default: 1)", wholeNumber)
    .option("--fresh", "throw the parameters in <dir> away and start over")
    .option("--json", "print the report as JSON")
    .option("--cluster", "three nodes and four workers, processes of this machine; <dir> has to be new")
    .action(async (path: string | undefined, options: DemoOptions) => {
      if (options.cluster && options.fresh)
        throw new EmbershardError(
          "INVALID_OPTIONS",
          "found --fresh with --cluster, expected one of them: nodes always begin anew, in a new directory",
        );
      const example = (await import(exampleUrl(options.cluster ? "cluster" : "movielens"))) as Example;
      exit(await example.run({ path, ...options, command: invocation(process.argv[1]) }, output));
    });
  return teach(command, [
    "embershard demo                      generated data, a few seconds",
    "embershard demo ./ml-100k            MovieLens 100K",
    "embershard demo --seed 2 --dir out/2 another split, beside the first",
    "embershard demo --cluster            three nodes, of which one is killed, and four workers",
    "embershard demo --json | jq .rmse    the number alone; progress is on stderr",
  ]);
}

/** How this process was called: by its installed name, or in a clone by its file. */
function invocation(script: string): string {
  return basename(script) === "embershard" ? "embershard" : `node ${relative("", script)}`;
}

function exampleUrl(name: string): string {
  return new URL(`../../examples/${name}/run.js`, import.meta.url).href;
}
