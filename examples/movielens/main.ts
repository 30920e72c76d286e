import { parseArgs } from "node:util";
import { EmbershardError } from "../../lib/index.js";
import { run } from "./run.js";
import { EPOCHS, SEED } from "./settings.js";

const HELP = `A factorization machine on MovieLens 100K, all parameters in an Embershard store.

usage: node dist/examples/movielens/main.js [PATH] [options]

PATH is the directory of MovieLens 100K (u.data, u.item, u.user); without it, data are generated from a planted model.
End it with Ctrl-C or kill -9 whenever you like: the same command goes on where it was, to the same bits.

  --dir DIR      where parameters and learning curve go (./out/movielens; ./out/movielens-generated without PATH)
  --epochs N     epochs (${EPOCHS}); more than a finished run has: it goes on
  --seed N       seed of split, order and initial values (${SEED})
  --fresh        throw the parameters in DIR away and start over
  --json         report as JSON on stdout; progress is on stderr
  --help         this text

exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted
`;

function options() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        dir: { type: "string" },
        epochs: { type: "string" },
        seed: { type: "string" },
        fresh: { type: "boolean" },
        json: { type: "boolean" },
        help: { type: "boolean", short: "h" },
      },
    });
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function main(): Promise<number> {
  const parsed = options();
  if (typeof parsed === "string" || parsed.positionals.length > 1) {
    process.stderr.write(`${typeof parsed === "string" ? parsed : "at most one PATH"}; see --help\n`);
    return 2;
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const { dir, fresh, json } = values;
  const number = (text: string | undefined) => (text === undefined ? undefined : Number(text));
  const wanted = {
    path: positionals[0],
    dir,
    fresh,
    json,
    epochs: number(values.epochs),
    seed: number(values.seed),
  };
  return run(wanted, { out: process.stdout, err: process.stderr });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof EmbershardError)) throw error;
  process.stderr.write(`error ${error.code}: ${error.message}\n`);
  process.exitCode = error.code === "INVALID_OPTIONS" ? 2 : 1;
}
