// `embershard export` and `embershard import`: rows to and from files of other tools.
import { resolve } from "node:path";
import { Command, InvalidArgumentError, Option } from "commander";
import type { Store } from "../api/store-types.js";
import { type ControlClient, connectControl } from "../embedded/control-client.js";
import type { TransferRequest } from "../embedded/transfer-requests.js";
import { exportTable } from "../transfer/export-table.js";
import { importTable } from "../transfer/import-table.js";
import type {
  ExportOptions,
  ExportReport,
  ImportOptions,
  ImportReport,
  S3Options,
  TransferFormat,
  TransferProgress,
} from "../transfer/transfer-types.js";
import { progressLine } from "./bar.js";
import { cancellable } from "./cancellation.js";
import { openClosed } from "./closed-store.js";
import { directoryPath, teach, wholeNumber } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { bytesText, countText, plural } from "./text-table.js";

const formats = ["safetensors", "npy", "parquet"];

interface SharedOptions {
  readonly table: string;
  readonly format?: TransferFormat;
  readonly scratch?: string;
  readonly json?: boolean;
}

interface ExportArguments extends SharedOptions {
  readonly state?: boolean;
  readonly minFrequency?: number;
  readonly minNorm?: number;
  readonly since?: string;
}

export function exportCommand(output: Output, environment: NodeJS.ProcessEnv): Command {
  const command = shared(
    new Command("export"),
    "<target>",
    "a file, a directory for .npy files, or s3://bucket/name",
  )
    .summary("write a table's rows to safetensors, NumPy or Parquet files")
    .description(
      "Writes rows into files that other tools read, here or in S3. A store that a process has open is exported by that " +
        "process, while it goes on. The target appears when it is whole; Ctrl-C leaves nothing behind.",
    )
    .option("--state", "optimizer state, too")
    .option("--min-frequency <n>", "only rows that were pushed at least so often", wholeNumber)
    .option("--min-norm <x>", "only rows of at least this Euclidean norm", notNegative)
    .option("--since <version>", "only what changed since that version")
    .action(async (directory: string, target: string, given: ExportArguments) => {
      const { table, json, state, minFrequency, minNorm, since } = given;
      const options: ExportOptions = {
        ...sharedOptions(given, target, environment),
        ...(state && { state }),
        ...(minFrequency !== undefined && { minFrequency }),
        ...(minNorm !== undefined && { minNorm }),
        ...(since !== undefined && { since }),
      };
      const request = { table, path: absolute(target), options };
      const report = await transferred<ExportReport>("export", directory, request, output, (store, rest) =>
        exportTable(store, table, request.path, { ...options, ...rest }),
      );
      const gone = since === undefined ? "" : `, ${countText(report.removed)} removed`;
      const text = `${plural(report.rows, "row")}${gone}, ${bytesText(report.bytes)} in ${whereOf(request.path, report)}\n`;
      output.out.write(json ? jsonLine(report) : text);
    });
  return teach(command, [
    "embershard export ./model items.safetensors --table items --state",
    "embershard export ./model items.parquet --table items --min-frequency 5",
    "embershard export ./model since.safetensors --table items --state --since epoch-3",
    "embershard export ./model ./arrays --table items          a directory of .npy files",
    "embershard export ./model s3://bucket/items.parquet --table items",
  ]);
}

interface ImportArguments extends SharedOptions {
  readonly existing: "merge" | "replace" | "fail";
}

export function importCommand(output: Output, environment: NodeJS.ProcessEnv): Command {
  const command = shared(
    new Command("import"),
    "<source>",
    "a file, a directory of .npy files, or s3://bucket/name",
  )
    .summary("bring rows from safetensors, NumPy or Parquet files into a table")
    .description(
      "Brings the rows of a file into a table, which is made as the file describes it if it is not there. The whole file is " +
        "checked first. A store that a process has open is changed by that process. After Ctrl-C in the middle some rows " +
        "are there; importing again with --existing merge completes it.",
    )
    .addOption(
      new Option("--existing <what>", "what becomes of rows that are there")
        .choices(["merge", "replace", "fail"])
        .default("fail"),
    )
    .action(async (directory: string, source: string, given: ImportArguments) => {
      const { table, json, existing } = given;
      const options: ImportOptions = { ...sharedOptions(given, source, environment), existing };
      const request = { table, path: absolute(source), options };
      const report = await transferred<ImportReport>("import", directory, request, output, (store, rest) =>
        importTable(store, table, request.path, { ...options, ...rest }),
      );
      output.out.write(json ? jsonLine(report) : importText(table, report));
    });
  return teach(command, [
    "embershard import ./model items.safetensors --table items",
    "embershard import ./model items.parquet --table items --existing merge",
    "embershard import ./model s3://bucket/items.parquet --table items --existing replace",
  ]);
}

/** One file by its name, several by their directory. */
function whereOf(target: string, { files }: ExportReport): string {
  return files.length === 1 ? files[0] : `${files.length} files in ${target}`;
}

function importText(table: string, { rows, deleted, created, state, history }: ImportReport): string {
  const made = created ? "new table" : "table";
  const others = deleted > 0 ? `, ${countText(deleted)} deleted` : "";
  const counts = history ? "" : ", without frequencies";
  return `${plural(rows, "row")} into ${made} ${table}${others}; optimizer state: ${state}${counts}\n`;
}

function shared(command: Command, path: string, what: string): Command {
  return command
    .argument("<dir>", "the store's directory", directoryPath)
    .argument(path, what)
    .requiredOption("--table <name>", "the table")
    .addOption(new Option("--format <format>", "told by the end of the name unless given").choices(formats))
    .option("--scratch <dir>", "where the copy of what goes to or comes from S3 lies meanwhile")
    .option("--json", "print JSON");
}

/** The owner of an open store has another environment: what this one says of S3 goes with the request. */
function sharedOptions({ format, scratch }: SharedOptions, path: string, environment: NodeJS.ProcessEnv) {
  const s3: Record<string, string> = {};
  const take = (name: keyof S3Options, ...variables: string[]) => {
    const value = variables.map((variable) => environment[variable]).find(Boolean);
    if (value !== undefined) s3[name] = value;
  };
  if (path.startsWith("s3://")) {
    take("endpoint", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL");
    take("region", "AWS_REGION", "AWS_DEFAULT_REGION");
    take("accessKeyId", "AWS_ACCESS_KEY_ID");
    take("secretAccessKey", "AWS_SECRET_ACCESS_KEY");
    take("sessionToken", "AWS_SESSION_TOKEN");
  }
  return {
    ...(format && { format }),
    ...(scratch && { scratch: resolve(scratch) }),
    ...(path.startsWith("s3://") && { s3: s3 as S3Options }),
  };
}

function absolute(path: string): string {
  return path.startsWith("s3://") ? path : resolve(path);
}

interface Going {
  readonly signal: AbortSignal;
  readonly onProgress: (progress: TransferProgress) => void;
}

/** Has the owner of the store do it, or does it here where the store is closed. */
async function transferred<Report>(
  method: "export" | "import",
  directory: string,
  request: TransferRequest<ExportOptions | ImportOptions>,
  { err }: Output,
  here: (store: Store, going: Going) => Promise<Report>,
): Promise<Report> {
  const line = progressLine(err);
  const onProgress = (progress: TransferProgress) =>
    line.show(progress.done, progress.total, `${progress.phase} ${amountText(progress)}`);
  return cancellable(async (signal) => {
    const client: ControlClient | undefined = await connectControl(directory);
    try {
      if (client) {
        const heard = (progress: unknown) => progress && onProgress(progress as TransferProgress);
        return (await client.ask(method, request, { signal, onProgress: heard })) as Report;
      }
      await using store = await openClosed(directory);
      return await here(store, { signal, onProgress });
    } finally {
      line.clear();
      client?.close();
    }
  });
}

function amountText({ phase, done }: TransferProgress): string {
  return phase === "upload" || phase === "download" ? bytesText(done) : `${countText(done)} rows`;
}

function notNegative(text: string): number {
  const number = Number(text);
  if (text.trim() === "" || !Number.isFinite(number) || number < 0)
    throw new InvalidArgumentError("expected a number >= 0");
  return number;
}
