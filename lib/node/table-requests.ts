// Tables: opened, dropped, listed.
import { checkName } from "../api/names.js";
import type { TensorOptions } from "../api/store-types.js";
import type { TableOptions } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { openNamedTable, openNamedTensor } from "../shard/named-tables.js";
import type { DropTable, ListTables, OpenTable } from "../wire/generated/frame-types.js";
import { type Answer, done } from "./request-context.js";

export const answerOpenTable: Answer<OpenTable> = (context, { id, body }, connection) => {
  const { name, tensor } = body;
  checkName(tensor ? "tensor" : "table", name);
  context.tables.demandFree(name);
  const options = optionsOf(name, body.options);
  const opening = tensor
    ? openNamedTensor(context.shard, name, options as unknown as TensorOptions)
    : openNamedTable(context.shard, name, options as TableOptions);
  return opening.then(() => connection.reply(id, context.tables.describe(name)));
};

export const answerDropTable: Answer<DropTable> = (context, { id, body }, connection) =>
  context.shard
    .dropTable(body.name)
    .then(() => connection.reply(id, done(context, { touched: 0, lsn: 0, repeated: false })));

export const answerListTables: Answer<ListTables> = (context, { id }, connection) => {
  const tables = [...context.shard.tables.keys()].map((name) => context.tables.describe(name));
  connection.reply(id, { kind: "TableList", tables });
  return undefined;
};

/** Options as JSON has them: a seed beyond 2^53 is a decimal string. */
function optionsOf(name: string, json: string | undefined): Record<string, unknown> | undefined {
  if (json === undefined) return undefined;
  let options: unknown;
  try {
    options = JSON.parse(json);
  } catch (cause) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `"${name}": its options cannot be read as JSON: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (typeof options !== "object" || options === null || Array.isArray(options))
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `"${name}": found options ${json.slice(0, 40)}, expected an object`,
    );
  const { seed } = options as { seed?: unknown };
  if (typeof seed === "string" && /^\d{1,20}$/.test(seed)) return { ...options, seed: BigInt(seed) };
  return options as Record<string, unknown>;
}
