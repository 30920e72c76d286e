import type { StoreStats, TableStats, WorkerStats } from "../api/store-types.js";
import type { InspectedRow, InspectedRows } from "../embedded/inspection.js";
import type { ClosedStats, ShardSummary } from "./closed-store.js";
import { bytesText, type Column, countText, durationText, plural, textTable } from "./text-table.js";

/** Numbers of a row that are shown to people; JSON has all. */
const SHOWN_NUMBERS = 8;

/** A store's figures for people. `owner` is the pid of the process that has it open. */
export function statsText(
  stats: ClosedStats,
  owner: number | undefined,
  heading: (text: string) => string,
): string {
  const { log, checkpoint, memory, shards = [] } = stats;
  const facts = [
    ["store", `${stats.directory}, format ${stats.format}`],
    ["state", owner === undefined ? "closed" : `open in process ${owner}`],
    ["health", stats.health === "ok" ? "ok" : `${stats.health}: ${stats.reason ?? "no reason given"}`],
    [
      "memory",
      `${bytesText(memory.bytes)} in ${plural(memory.arenas, "arena")}${memory.moving ? ", rows on their way to the last of them" : ""}`,
    ],
    [
      "log",
      `${bytesText(log.bytes)} in ${plural(log.segments, "segment")}, ${shards.length > 0 ? plural(log.lsn, "record") : `up to LSN ${countText(log.lsn)}`}`,
    ],
    ["checkpoint", checkpointText(checkpoint)],
  ];
  if (stats.versions.count > 0)
    facts.push(["versions", `${stats.versions.count}, ${bytesText(stats.versions.ownBytes)} only for them`]);
  const [titles, ...rows] = textTable(columnsFor(stats.tables), stats.tables);
  const tables = rows.length === 0 ? ["no tables"] : [heading(titles), ...rows];
  const lines = facts.map(([name, text]) => `${heading(name.padEnd(10))}  ${text}`);
  const [workerTitles, ...workers] = textTable(WORKER_COLUMNS, stats.workers ?? []);
  const [shardTitles, ...parts] = textTable(SHARD_COLUMNS, shards);
  if (parts.length > 0) tables.push("", heading(shardTitles), ...parts);
  if (workers.length > 0) tables.push("", heading(workerTitles), ...workers);
  return `${[...lines, "", ...tables].join("\n")}\n`;
}

function checkpointText(checkpoint: StoreStats["checkpoint"]): string {
  if (checkpoint === null) return "none yet";
  const { generation, ageMs, lsn } = checkpoint;
  return `${generation}, ${durationText(ageMs)} old, LSN ${countText(lsn)}`;
}

const SHARD_COLUMNS: readonly Column<ShardSummary>[] = [
  { title: "shard", align: "right", text: ({ shard }) => String(shard) },
  { title: "rows", align: "right", text: ({ rows }) => countText(rows) },
  { title: "memory", align: "right", text: ({ memory }) => bytesText(memory.bytes) },
  { title: "log", align: "right", text: ({ log }) => bytesText(log.bytes) },
  { title: "LSN", align: "right", text: ({ log }) => countText(log.lsn) },
  { title: "checkpoint", text: ({ checkpoint }) => checkpointText(checkpoint) },
];

const WORKER_COLUMNS: readonly Column<WorkerStats>[] = [
  // Names are the workers' own: nothing of them may move the cursor.
  { title: "worker", text: ({ name }) => name.replace(/\p{C}/gu, "?") },
  { title: "session", align: "right", text: ({ session }) => session },
  { title: "sequence", align: "right", text: ({ sequence }) => sequence },
  { title: "clock", align: "right", text: ({ clock }) => clock ?? "" },
];

const TABLE_COLUMNS: readonly Column<TableStats>[] = [
  { title: "table", text: ({ name }) => name },
  { title: "rows", align: "right", text: ({ rows }) => countText(rows) },
  { title: "dim", align: "right", text: ({ dim }) => String(dim) },
  { title: "optimizer", text: ({ optimizer }) => optimizer },
  {
    title: "stored",
    text: ({ storage, stateStorage }) =>
      stateStorage === "f32" ? storage : `${storage}, state ${stateStorage}`,
  },
  { title: "bytes", align: "right", text: ({ bytes }) => bytesText(bytes) },
  { title: "ack", text: ({ ack }) => ack },
  { title: "logged", text: ({ logged }) => (logged ? "yes" : "no") },
];

const CANDIDATES: Column<TableStats> = {
  title: "candidates",
  align: "right",
  text: ({ admission }) => {
    if (admission === undefined) return "";
    const { candidates, bytes } = admission;
    return candidates === null
      ? `sketch of ${bytesText(bytes)}`
      : `${countText(candidates)}, ${bytesText(bytes)}`;
  },
};

const COLD: Column<TableStats> = {
  title: "cold rows",
  align: "right",
  text: ({ cold }) => {
    if (cold === undefined) return "";
    const { rows, hits, misses } = cold;
    const pulled = hits + misses;
    return pulled === 0
      ? countText(rows)
      : `${countText(rows)}, ${((100 * hits) / pulled).toFixed(1)} % hits`;
  },
};

/** Columns of candidates and of cold rows are only for a store with tables that have them. */
function columnsFor(tables: readonly TableStats[]): readonly Column<TableStats>[] {
  return [
    ...TABLE_COLUMNS,
    ...(tables.some(({ admission }) => admission) ? [CANDIDATES] : []),
    ...(tables.some(({ cold }) => cold) ? [COLD] : []),
  ];
}

/** Rows for people, with the values that their keys were made of. */
export function rowsText(
  { table, dim, rows }: InspectedRows,
  values: readonly string[] | undefined,
  heading: (text: string) => string,
): string {
  const numbered = rows.map((row, i) => ({ ...row, value: values?.[i] ?? "" }));
  const columns: Column<InspectedRow & { value: string }>[] = [
    { title: "key", align: "right", text: ({ key }) => key },
    { title: "weights", text: ({ found, weights }) => (found ? numbersText(weights) : "no such row") },
    { title: "state", text: ({ found, state }) => (found ? numbersText(state) : "") },
  ];
  if (values !== undefined) columns.unshift({ title: "value", text: ({ value }) => value });
  const [titles, ...lines] = textTable(columns, numbered);
  return `${[`${table}, dim ${dim}`, heading(titles), ...lines].join("\n")}\n`;
}

function numbersText(numbers: readonly number[]): string {
  const shown = numbers.slice(0, SHOWN_NUMBERS).map((number) => String(Number(number.toPrecision(5))));
  if (numbers.length > SHOWN_NUMBERS) shown.push(`... ${numbers.length - SHOWN_NUMBERS} more`);
  return shown.length === 0 ? "-" : shown.join(" ");
}
