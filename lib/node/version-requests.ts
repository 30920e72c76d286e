// Checkpoints and versions of a shard, its mark and its figures.
import { checkInteger, checkNote } from "../api/arguments.js";
import { checkName } from "../api/names.js";
import { stateFloats } from "../api/optimizers.js";
import type { ChangeBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import type { Shard } from "../shard/shard.js";
import { shardStats } from "../shard/shard-stats.js";
import type { Companion } from "../shard/together.js";
import {
  type Changes,
  type Checkpoint,
  type CloseVersion,
  Column,
  type DeleteVersion,
  type Diff,
  type GetMark,
  type ListVersions,
  type OpenVersion,
  type Rollback,
  type Stats,
} from "../wire/generated/frame-types.js";
import { type Answer, done, jsonOf, type RequestContext } from "./request-context.js";
import { rowsFitting } from "./row-batches.js";
import type { ServedConnection } from "./served-connection.js";
import { companionOf } from "./stages.js";

export const answerCheckpoint: Answer<Checkpoint> = async (context, { id, body }, connection) => {
  const { version, note = "", keep, cut } = body;
  const signal = wantedSignal(id, connection, "checkpoint");
  if (version === undefined) {
    if (note !== "" || keep !== undefined)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        "checkpoint: found note or keep without version, expected a version's name with them",
      );
  } else {
    checkName("version", version);
    checkNote("checkpoint: note", note);
    if (keep !== undefined) checkInteger("checkpoint: keep", keep, 1, 2 ** 31 - 1);
  }
  const parts =
    cut === 0n
      ? {}
      : { cut: String(cut), companion: companionOf({ id, connection, signal, clock: context.clock }) };
  const request = version === undefined ? undefined : { name: version, note, keep, ...parts };
  const info = await context.shard.checkpoint({ signal }, request);
  connection.reply(id, { kind: "Report", json: jsonOf(info) });
};

export const answerListVersions: Answer<ListVersions> = (context, { id }, connection) => {
  connection.reply(id, { kind: "Report", json: jsonOf(context.shard.versions.list()) });
  return undefined;
};

export const answerDeleteVersion: Answer<DeleteVersion> = async (context, { id, body }, connection) => {
  const { name, cut } = body;
  checkName("version", name);
  await context.shard.versions.delete(name, cut === 0n ? undefined : String(cut));
  connection.reply(id, done(context, { touched: 0, lsn: 0, repeated: false }));
};

export const answerRollback: Answer<Rollback> = async (context, { id, body }, connection) => {
  const { name, cut } = body;
  checkName("version", name);
  const signal = wantedSignal(id, connection, "rollback");
  // Where one gave up just before another was told to go back, some would be at the version: it is waited for longer.
  const others =
    cut === 0n
      ? undefined
      : { cut: String(cut), companion: companionOf({ id, connection, signal, clock: undefined }) };
  const info = await context.shard.rollBack(name, others);
  connection.reply(id, { kind: "Report", json: jsonOf(info) });
};

export const answerDiff: Answer<Diff> = async (context, { id, body }, connection) => {
  const { from, to, largest, cut } = body;
  checkName("version", from);
  if (to !== undefined) checkName("version", to);
  checkInteger("diff: largest", largest, 0, 1000);
  const signal = wantedSignal(id, connection, "diff");
  const companion = companionOfLive("diff", { to, cut }, () =>
    companionOf({ id, connection, signal, clock: context.clock }),
  );
  const diff = await context.shard.versions.diff(from, to, { largest, signal, companion });
  connection.reply(id, { kind: "Report", json: jsonOf(diff) });
};

/** Asked for batch by batch, as a scan is; what is read stays as it was until the end. */
export const answerChanges: Answer<Changes> = (context, { id, body }, connection) => {
  const { iterations } = connection;
  const number = body.cursor
    ? iterations.demand(body.cursor, changesOver)
    : iterations.begin(changesOf(context, body, connection, id), changesOver);
  return nextChanges(id, number, connection);
};

const changesOver = "changes";

async function nextChanges(id: number, number: number, connection: ServedConnection): Promise<void> {
  const step = await connection.iterations.step<ChangeBatch>(number, () => connection.isOver(id));
  connection.reply(id, step ? changedRows(step.value, step.cursor) : changedRows(nothing));
}

function changesOf(
  { shard, clock }: RequestContext,
  { since, until, tables, batch, cut }: Changes,
  connection: ServedConnection,
  id: number,
): AsyncIterator<ChangeBatch> {
  checkName("version", since);
  if (until !== undefined) checkName("version", until);
  for (const name of tables ?? []) checkName("table", name);
  const wanted = batch === 0 ? 1024 : batch;
  checkInteger("changes: batch", wanted, 1, 65_536);
  const longest = largestRowBytes(shard, [since, until], tables);
  const batchRows = Math.min(wanted, rowsFitting(longest, connection.frameBytes));
  // A first batch that nobody waits for any more may have taken a checkpoint.
  const signal = wantedSignal(id, connection, "changes");
  const companion = companionOfLive("changes", { to: until, cut }, () =>
    companionOf({ id, connection, signal, clock }),
  );
  return shard.versions
    .changes({ since, until, tables, batchRows, signal, companion })
    [Symbol.asyncIterator]();
}

/** Who waits for the live states of other shards. @throws INVALID_ARGUMENT where it is not the live state that is wanted */
function companionOfLive(
  what: string,
  { to, cut }: { readonly to: string | undefined; readonly cut: bigint },
  companion: () => Companion,
): Companion | undefined {
  if (cut === 0n) return undefined;
  if (to === undefined) return companion();
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    `${what}: found a cut and version "${to}", expected one of them`,
  );
}

/** Aborted when nobody waits for the answer any more. */
function wantedSignal(id: number, connection: ServedConnection, what: string): AbortSignal {
  const aborting = new AbortController();
  connection.whenOver(id, () =>
    aborting.abort(new EmbershardError("ABORTED", `nobody waits for the ${what} any more`)),
  );
  return aborting.signal;
}

/** Bytes of the longest row that changes between these states may have. */
function largestRowBytes(
  { state, tables: live }: Shard,
  versions: readonly (string | undefined)[],
  tables: readonly string[] | undefined,
): number {
  const definitions = [...live.values()].map(({ definition }) => definition);
  for (const name of versions) {
    const version = name === undefined ? undefined : state.versions.get(name);
    if (version && "manifest" in version) definitions.push(...version.manifest.tables);
  }
  const wanted = definitions.filter(({ name }) => tables === undefined || tables.includes(name));
  return Math.max(
    ...wanted.map(
      ({ dim, optimizer, counters }) =>
        64 + 4 * (dim + stateFloats(optimizer, dim) + (counters?.names.length ?? 0)),
    ),
    64,
  );
}

/** Brings a version into memory, for requests of this connection that say its number. */
export const answerOpenVersion: Answer<OpenVersion> = async (context, { id, body }, connection) => {
  checkName("version", body.name);
  const { versions } = connection;
  versions.demandRoom();
  const reading = await context.openVersions.open(body.name, (bytes) => context.demandMemory(bytes));
  if (connection.isOver(id)) {
    await reading.release();
    return;
  }
  const { shard, tables, generation } = reading.version;
  const number = versions.add(reading);
  connection.reply(id, {
    kind: "VersionReply",
    number,
    tables: [...shard.tables.keys()].map((name) => tables.describe(name)),
    generation,
  });
};

export const answerCloseVersion: Answer<CloseVersion> = (context, { id, body }, connection) =>
  connection.versions
    .closeOne(body.number)
    .then(() => connection.reply(id, done(context, { touched: 0, lsn: 0, repeated: false })));

const nothing: ChangeBatch = {
  table: "",
  reset: false,
  keys: new BigUint64Array(0),
  rows: new Float32Array(0),
  state: new Float32Array(0),
  frequency: new Uint32Array(0),
  lastStep: new Uint32Array(0),
  added: new Uint8Array(0),
  distance: new Float64Array(0),
  removed: new BigUint64Array(0),
};

function changedRows(
  { table, reset, keys, rows, state, frequency, lastStep, counters, added, distance, removed }: ChangeBatch,
  cursor?: Uint8Array,
) {
  const count = keys.length;
  const dim = count === 0 ? 0 : rows.length / count;
  const stateFloats = count === 0 ? 0 : state.length / count;
  const names = Object.keys(counters ?? {});
  const columns =
    count === 0
      ? 0
      : Column.Values |
        (stateFloats > 0 ? Column.State : 0) |
        Column.Counts |
        Column.LastStep |
        (names.length > 0 ? Column.FirstCounter : 0) |
        (names.length > 1 ? Column.SecondCounter : 0) |
        Column.Added |
        Column.Distance;
  const data =
    count === 0
      ? []
      : [
          rows,
          ...(stateFloats > 0 ? [state] : []),
          frequency,
          lastStep,
          ...Object.values(counters ?? {}),
          added,
          distance,
        ];
  return {
    kind: "ChangedRows",
    table,
    reset,
    rows: { count, dim, stateFloats, columns, keys, data },
    removed,
    cursor,
    counters: names.length > 0 ? names : undefined,
  } as const;
}

export const answerGetMark: Answer<GetMark> = (context, { id }, connection) => {
  connection.reply(id, { kind: "Mark", mark: context.shard.mark });
  return undefined;
};

export const answerStats: Answer<Stats> = (context, { id }, connection) => {
  connection.reply(id, { kind: "Report", json: jsonOf(shardStats(context.shard)) });
  return undefined;
};
