import { parseArgs } from "node:util";

export interface BenchOptions {
  /** Parts of suite names; none: all suites. */
  readonly names: readonly string[];
  readonly quick: boolean;
  /** Rows of a table where a suite does not say otherwise. */
  readonly rows: number;
  /** Keys of a request. */
  readonly batch: number;
  /** Rounds of each race. */
  readonly rounds: number;
  /** Least measured time of a subject in a round. */
  readonly roundMs: number;
  readonly python: string;
  /** Where temporary files go; undefined: the system's directory for them. */
  readonly directory: string | undefined;
  /** File for the results as JSON. */
  readonly json: string | undefined;
  /** Directory for plots. */
  readonly plot: string | undefined;
}

export const USAGE = `usage: npm run bench -- [NAME...] [options]

Measures Embershard against a Map, a C program, PyTorch, FBGEMM, LevelDB, Redis and iperf3, and prints a table.
NAME is a suite or a part of its name: pull push level resident recovery verify creation checkpoint growth eviction storage transfer admission cold sizes ring net

  --quick        smaller tables and fewer rounds: about a minute. Its figures are no measurement.
  --json FILE    writes the results as JSON
  --plot DIR     writes plots of the suites sizes, cold, ring and net as SVG
  --python PATH  an interpreter that has torch and fbgemm-gpu-cpu (or EMBERSHARD_BENCH_PYTHON; python3)
  --dir PATH     where temporary files go (up to 10 GB, removed at the end)
  --round-ms N   least time of each side in a round (200; 60 with --quick)
  --rows N       rows of a table (4000000; 200000 with --quick)
  --help

docs/benchmarks.md says what each figure means and how to set the peers up.`;

/** Throws TypeError for an option that does not exist, RangeError for a number out of range. */
export function parseOptions(args: readonly string[]): BenchOptions | "help" {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      quick: { type: "boolean", default: false },
      json: { type: "string" },
      plot: { type: "string" },
      python: { type: "string" },
      dir: { type: "string" },
      rows: { type: "string" },
      "round-ms": { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help) return "help";
  const quick = values.quick;
  const rows = integer("rows", values.rows, [1000, 60_000_000]) ?? (quick ? 200_000 : 4_000_000);
  const roundMs = integer("round-ms", values["round-ms"], [1, 10_000]) ?? (quick ? 60 : 200);
  return {
    names: positionals,
    quick,
    rows,
    batch: Math.min(16_384, rows),
    rounds: quick ? 3 : 7,
    roundMs,
    python: values.python ?? process.env.EMBERSHARD_BENCH_PYTHON ?? "python3",
    directory: values.dir,
    json: values.json,
    plot: values.plot,
  };
}

function integer(
  name: string,
  text: string | undefined,
  [least, most]: [number, number],
): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (Number.isInteger(value) && value >= least && value <= most) return value;
  throw new RangeError(`--${name} ${text}: expected an integer from ${least} to ${most}`);
}
