// `embershard plan`: how big a model will be.
import { readFile } from "node:fs/promises";
import { Command, InvalidArgumentError, Option } from "commander";
import { adagrad, adam, ftrl, type OptimizerDefinition, rowWiseAdagrad, sgd } from "../api/optimizers.js";
import { EmbershardError } from "../base/errors.js";
import { type ModelPlan, type PlanOptions, planModel } from "../embedded/plan.js";
import { teach } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { bytesText, type Column, countText, durationText, textTable } from "./text-table.js";

const rate = { learningRate: 0.1 };
const optimizers: Readonly<Record<string, () => OptimizerDefinition>> = {
  sgd: () => sgd(rate),
  momentum: () => sgd({ ...rate, momentum: 0.9 }),
  adagrad: () => adagrad(rate),
  rowWiseAdagrad: () => rowWiseAdagrad(rate),
  adam: () => adam(rate),
  ftrl: () => ftrl(rate),
};

interface PlanFlags {
  readonly rows?: number;
  readonly dim?: number;
  readonly optimizer: string;
  readonly storage?: string;
  readonly stateStorage?: string;
  readonly admitAfter?: number;
  readonly candidates?: number;
  readonly memory?: number;
  readonly rate?: number;
  readonly batch?: number;
  readonly arenaBytes?: number;
  readonly diskRate?: number;
  readonly json?: boolean;
}

export function planCommand(output: Output): Command {
  const command = new Command("plan")
    .summary("calculate what a model will take: memory, disk, log, checkpoints")
    .description(
      "Calculates memory, disk, log and checkpoints of a model before it is there. One table is described by options; " +
        'a file has several, as JSON: { "tables": [{ "rows": 1e8, "dim": 16, "optimizer": "adagrad" }, ...] }.',
    )
    .argument("[file]", "a description of the model as JSON")
    .option("--rows <n>", "rows of the table, such as 1e9, 250M or 4_000_000", quantity)
    .option("--dim <n>", "weights of a row", quantity)
    .addOption(
      new Option("--optimizer <name>", "what trains it").choices(Object.keys(optimizers)).default("adagrad"),
    )
    .addOption(
      new Option("--storage <type>", "how weights are stored (default: f32)").choices([
        "f32",
        "f16",
        "bf16",
        "int8",
      ]),
    )
    .addOption(
      new Option("--state-storage <type>", "how optimizer state is stored (default: f32)").choices([
        "f32",
        "bf16",
      ]),
    )
    .option("--admit-after <n>", "occurrences after which a key gets a row", quantity)
    .option("--candidates <n>", "keys that are counted and have no row yet", quantity)
    .option(
      "--memory <n>",
      "bytes of memory for the table's rows and index; all of them unless given",
      quantity,
    )
    .option("--rate <n>", "distinct rows pushed a second, for the log's rate", quantity)
    .option("--batch <n>", "distinct keys of a push (default: 16,384)", quantity)
    .option("--arena-bytes <n>", "as openStore's arenaBytes (default: 4 GiB)", quantity)
    .option(
      "--disk-rate <n>",
      "bytes a second that the disk takes while pages are written (default: 150M)",
      quantity,
    )
    .option("--json", "print JSON: every number in full")
    .action(async (file: string | undefined, flags: PlanFlags) => {
      const plan = planModel(
        file === undefined ? ofFlags(flags) : { ...(await ofFile(file)), ...common(flags) },
      );
      output.out.write(flags.json ? jsonLine(plan) : planText(plan, output.heading));
    });
  return teach(command, [
    "embershard plan --rows 100M --dim 64",
    "embershard plan --rows 1e8 --dim 16 --optimizer rowWiseAdagrad --rate 500k",
    "embershard plan --rows 1e9 --dim 64 --optimizer rowWiseAdagrad --storage int8",
    "embershard plan --rows 1e9 --dim 64 --memory 32G",
    "embershard plan model.json --json | jq .memory.bytes",
  ]);
}

/** 1e9, 4_000_000, 250M: a number above 0, with k, M, G for thousands, millions, thousands of millions. */
export function quantity(text: string): number {
  const [, digits, exponent = "0", unit] = /^(\d[\d_]*(?:\.\d+)?)(?:e(\d+))?([kMG]?)$/.exec(text) ?? [];
  // Read as one decimal: 2.3 times a million is no whole number.
  const power = Number(exponent) + ({ k: 3, M: 6, G: 9 }[unit] ?? 0);
  const number = digits === undefined ? 0 : Number(`${digits.replaceAll("_", "")}e${power}`);
  if (Number.isFinite(number) && number > 0) return number;
  throw new InvalidArgumentError("expected a number above 0, such as 1e9, 250M or 4_000_000");
}

function common({
  rate: rowsPerSecond,
  batch,
  arenaBytes,
  diskRate,
}: PlanFlags): Omit<PlanOptions, "tables"> {
  return {
    ...(rowsPerSecond !== undefined && { rowsPerSecond }),
    ...(batch !== undefined && { keysPerPush: batch }),
    ...(arenaBytes !== undefined && { arenaBytes }),
    ...(diskRate !== undefined && { diskBytesPerSecond: diskRate }),
  };
}

function ofFlags(flags: PlanFlags): PlanOptions {
  const { rows, dim, optimizer, storage, stateStorage, admitAfter, candidates, memory } = flags;
  if (rows === undefined || dim === undefined) throw wrong("say --rows and --dim, or give a file");
  if (candidates !== undefined && admitAfter === undefined)
    throw wrong("--candidates goes with --admit-after");
  const described = {
    rows,
    dim,
    optimizer,
    ...(storage !== undefined && { storage }),
    ...(stateStorage !== undefined && { stateStorage }),
    ...(admitAfter !== undefined && { admission: { after: admitAfter } }),
    ...(candidates !== undefined && { candidates }),
    ...(memory !== undefined && { memory }),
  };
  return { tables: [tableOf(described)], ...common(flags) };
}

async function ofFile(file: string): Promise<PlanOptions> {
  let model: unknown;
  try {
    model = JSON.parse(await readFile(file, "utf8"));
  } catch (cause) {
    if (cause instanceof SyntaxError) throw wrong(`${file} is not JSON: ${cause.message}`);
    throw cause;
  }
  const { tables, ...rest } = (model ?? {}) as { tables?: unknown };
  if (!Array.isArray(tables)) throw wrong(`${file} has no "tables", an array`);
  return { ...rest, tables: tables.map(tableOf) };
}

/** A table as files and options describe it: options of `store.table`, the optimizer by its name, and `rows`. */
function tableOf(described: unknown): PlanOptions["tables"][number] {
  if (typeof described !== "object" || described === null)
    throw wrong("a table is an object with rows and dim");
  const { rows, candidates, optimizer = "adagrad", ...options } = described as Record<string, unknown>;
  const make = typeof optimizer === "string" ? optimizers[optimizer] : undefined;
  if (typeof optimizer === "string" && make === undefined)
    throw wrong(`no optimizer "${optimizer}": there are ${Object.keys(optimizers).join(", ")}`);
  const definition = make ? make() : (optimizer as OptimizerDefinition);
  return {
    rows: rows as number,
    options: { ...options, optimizer: definition },
    ...(candidates !== undefined && { candidates: candidates as number }),
  };
}

function wrong(message: string): EmbershardError {
  return new EmbershardError("INVALID_OPTIONS", `${message}; see embershard plan --help`);
}

/** A plan for people. */
export function planText(
  { tables, memory, disk, log, checkpoint }: ModelPlan,
  heading: (text: string) => string,
): string {
  const facts = [
    [
      "memory",
      `${bytesText(memory.bytes)} in ${countText(memory.arenas)} arena${memory.arenas === 1 ? "" : "s"}`,
    ],
    ["process", `${bytesText(memory.residentBytes)} with buffers and Node.js`],
    [
      "disk",
      `${bytesText(disk.pageBytes)} of pages${disk.coldBytes > 0 ? `, ${bytesText(disk.coldBytes)} of cold rows` : ""}; have room for ${bytesText(disk.mostBytes)}`,
    ],
    [
      "log",
      `${bytesText(log.bytesPerPush)} a push${log.bytesPerSecond === undefined ? "" : `, ${bytesText(log.bytesPerSecond)} a second`}`,
    ],
    [
      "checkpoint",
      `${bytesText(checkpoint.bytes)}, ${durationText(1000 * checkpoint.seconds)} when every page has changed`,
    ],
  ];
  const columns: Column<ModelPlan["tables"][number]>[] = [
    { title: "rows", align: "right", text: ({ rows }) => countText(rows) },
    { title: "bytes a row", align: "right", text: ({ rowBytes }) => rowBytes.toFixed(1) },
    { title: "weights and state", align: "right", text: (table) => bytesText(table.weightsAndStateBytes) },
    { title: "pages", align: "right", text: ({ rowPageBytes }) => bytesText(rowPageBytes) },
    { title: "index", align: "right", text: ({ indexBytes }) => bytesText(indexBytes) },
  ];
  if (tables.some(({ candidateBytes }) => candidateBytes > 0))
    columns.push({ title: "candidates", align: "right", text: (table) => bytesText(table.candidateBytes) });
  if (tables.some(({ coldRows }) => coldRows > 0))
    columns.push({ title: "cold rows", align: "right", text: ({ coldRows }) => countText(coldRows) });
  const [titles, ...rows] = textTable(columns, tables);
  const lines = facts.map(([name, text]) => `${heading(name.padEnd(10))}  ${text}`);
  return `${[...lines, "", heading(titles), ...rows].join("\n")}\n`;
}
