import { Command } from "commander";
import { keysOf } from "../api/keys.js";
import { isAddress } from "../base/address.js";
import { EmbershardError } from "../base/errors.js";
import type { InspectedRows } from "../embedded/inspection.js";
import { commaList, NO_DIRECTORY, teach } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { rowsText, statsText } from "./store-text.js";
import { openView } from "./store-view.js";
import { openDesk } from "./versions-command.js";

interface InspectOptions {
  readonly table?: string;
  readonly keys?: string[];
  readonly feature?: string;
  readonly values?: string[];
  readonly at?: string;
  readonly json?: boolean;
}

export function inspectCommand(output: Output): Command {
  const command = new Command("inspect")
    .summary("show what is in a store, open or closed")
    .description(
      "Shows a store's tables, rows, bytes, log, checkpoint and health, or rows of one table. A store that a process " +
        "has open is asked through that process, while it goes on; a closed one is opened for a moment. Creates nothing.",
    )
    .argument("<dir>", "the store's directory; with --at also the ember:// address of its nodes")
    .option(
      "--table <name>",
      "show rows of this table; say which with --keys, or with --feature and --values",
    )
    .option("--keys <k1,k2>", "keys of rows, decimal or 0x hexadecimal", commaList)
    .option("--feature <name>", "the feature that the values belong to, as in keysOf(feature, values)")
    .option("--values <v1,v2>", "values of that feature whose rows are shown", commaList)
    .option(
      "--at <version>",
      "show the rows as they are in this version, which is brought into memory for that",
    )
    .option("--json", "print JSON: everything, and every number in full")
    .action((directory: string, options: InspectOptions) => inspect(directory, options, output));
  return teach(command, [
    "embershard inspect ./model",
    "embershard inspect ./model --table items --keys 7,0xff",
    "embershard inspect out/movielens/model --table factors --feature user --values 196,186",
    "embershard inspect ./model --json | jq '.tables[].rows'",
  ]);
}

async function inspect(directory: string, options: InspectOptions, { out, heading }: Output): Promise<void> {
  const wanted = wantedRows(options);
  if (options.at !== undefined) {
    if (wanted === undefined) throw wrong("--at needs --table; embershard versions list shows what there is");
    const rows = await rowsAt(directory, options.at, wanted);
    const result = withValues(rows, options.values);
    out.write(options.json ? jsonLine(result) : rowsText(rows, options.values, heading));
    return;
  }
  if (isAddress(directory)) throw wrong(`${directory}: ${NO_DIRECTORY}`);
  const view = await openView(directory);
  let result: object;
  let text: string;
  try {
    if (wanted === undefined) {
      const stats = await view.stats();
      result = { owner: view.owner ?? null, ...stats };
      text = statsText(stats, view.owner, heading);
    } else {
      const rows = await view.rows(wanted.table, wanted.keys.map(String));
      result = withValues(rows, options.values);
      text = rowsText(rows, options.values, heading);
    }
  } finally {
    await view.close();
  }
  out.write(options.json ? jsonLine(result) : text);
}

async function rowsAt(
  directory: string,
  version: string,
  { table, keys }: { table: string; keys: readonly (string | bigint)[] },
): Promise<InspectedRows> {
  const { desk, close } = await openDesk(directory);
  try {
    return await desk.rows({ version, table, keys: keys.map(String) });
  } finally {
    await close();
  }
}

/** INVALID_OPTIONS where the options do not say which rows, or say it twice. */
function wantedRows({ table, keys, feature, values }: InspectOptions) {
  if (table === undefined) {
    if (keys ?? feature ?? values) throw wrong("--keys, --feature and --values need --table");
    return undefined;
  }
  if ((feature === undefined) !== (values === undefined)) throw wrong("--feature and --values go together");
  if (keys !== undefined && values !== undefined) throw wrong("give --keys or --values, not both");
  if (values !== undefined) return { table, keys: [...keysOf(feature!, values)] };
  if (keys !== undefined) return { table, keys };
  throw wrong("--table needs --keys, or --feature and --values: it does not say which rows");
}

function wrong(message: string): EmbershardError {
  return new EmbershardError("INVALID_OPTIONS", `${message}; see embershard inspect --help`);
}

function withValues(rows: InspectedRows, values: readonly string[] | undefined): InspectedRows {
  if (values === undefined) return rows;
  return { ...rows, rows: rows.rows.map((row, i) => ({ value: values[i], ...row })) };
}
