// `embershard evict`: lets rows of a table go now.
import { Command, InvalidArgumentError } from "commander";
import { EmbershardError } from "../base/errors.js";
import { connectControl } from "../embedded/control-client.js";
import { evictRows } from "../embedded/evict-request.js";
import { openClosed } from "./closed-store.js";
import { directoryPath, teach, wholeNumber } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { plural } from "./text-table.js";

interface EvictOptions {
  readonly table: string;
  readonly json?: boolean;
  readonly rows?: number;
  readonly olderThanSteps?: number;
  readonly olderThanMs?: number;
  readonly belowNorm?: number;
  readonly belowFrequency?: number;
  readonly belowScore?: number;
}

export function evictCommand(output: Output): Command {
  const command = new Command("evict")
    .summary("let rows of a table go")
    .description(
      "Evicts rows: so many by the table's policy, or all that are too old or too small. Say which with one option. A " +
        "store that a process has open does it in that process, between its requests.",
    )
    .argument("<dir>", "the store's directory", directoryPath)
    .requiredOption("--table <name>", "the table")
    .option("--rows <n>", "so many rows, by the table's policy", wholeNumber)
    .option("--older-than-steps <n>", "rows last pushed more than n steps before the latest", wholeNumber)
    .option("--older-than-ms <n>", "rows not written for more than n milliseconds", wholeNumber)
    .option("--below-norm <x>", "rows whose weights have a lesser norm", anyNumber)
    .option("--below-frequency <n>", "rows pushed less often", wholeNumber)
    .option("--below-score <x>", "rows whose counters give a lesser score", anyNumber)
    .option("--json", "print JSON")
    .action(async (directory: string, options: EvictOptions) => {
      const { table, json, ...request } = options;
      if (Object.keys(request).length !== 1)
        throw new EmbershardError(
          "INVALID_OPTIONS",
          "give exactly one of --rows, --older-than-steps, --older-than-ms, --below-norm, --below-frequency, --below-score; see embershard evict --help",
        );
      const done = await evict(directory, { table, ...request });
      output.out.write(json ? jsonLine(done) : `${plural(done.evicted, "row")} evicted from ${table}\n`);
    });
  return teach(command, [
    "embershard evict ./model --table items --older-than-steps 100000",
    "embershard evict ./model --table items --below-norm 0.001",
    "embershard evict ./model --table items --rows 1000 --json",
  ]);
}

function anyNumber(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number)) throw new InvalidArgumentError("expected a number");
  return number;
}

async function evict(directory: string, params: { table: string }): Promise<{ evicted: number }> {
  const client = await connectControl(directory);
  if (client !== undefined) {
    try {
      return (await client.ask("evict", params)) as { evicted: number };
    } finally {
      client.close();
    }
  }
  const store = await openClosed(directory);
  try {
    return await evictRows(store, params);
  } finally {
    await store.close();
  }
}
