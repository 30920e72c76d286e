// Checkpoints and versions of a shard, its mark and its figures.
import { checkInteger, checkNote } from "../api/arguments.js";
import { checkName } from "../api/names.js";
import type { ChangeBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import { shardStats } from "../shard/shard-stats.js";
import {
  type Changes,
  type Checkpoint,
  Column,
  type DeleteVersion,
  type Diff,
  type GetMark,
  type ListVersions,
  type Rollback,
  type Stats,
} from "../wire/generated/frame-types.js";
import { type Answer, done, jsonOf } from "./request-context.js";

export const answerCheckpoint: Answer<Checkpoint> = async (context, { id, body }, connection) => {
  const { version, note = "", keep } = body;
  const aborting = new AbortController();
  connection.whenOver(id, () =>
    aborting.abort(new EmbershardError("ABORTED", "nobody waits for the checkpoint any more")),
  );
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
  const request = version === undefined ? undefined : { name: version, note, keep };
  const info = await context.shard.checkpoint({ signal: aborting.signal }, request);
  connection.reply(id, { kind: "Report", json: jsonOf(info) });
};

export const answerListVersions: Answer<ListVersions> = (context, { id }, connection) => {
  connection.reply(id, { kind: "Report", json: jsonOf(context.shard.versions.list()) });
  return undefined;
};

export const answerDeleteVersion: Answer<DeleteVersion> = async (context, { id, body }, connection) => {
  checkName("version", body.name);
  await context.shard.versions.delete(body.name);
  connection.reply(id, done(context, { touched: 0, lsn: 0, repeated: false }));
};

export const answerRollback: Answer<Rollback> = async (context, { id, body }, connection) => {
  checkName("version", body.name);
  const info = await context.shard.rollBack(body.name);
  connection.reply(id, { kind: "Report", json: jsonOf(info) });
};

export const answerDiff: Answer<Diff> = async (context, { id, body }, connection) => {
  const { from, to, largest } = body;
  checkName("version", from);
  if (to !== undefined) checkName("version", to);
  checkInteger("diff: largest", largest, 0, 1000);
  const diff = await context.shard.versions.diff(from, to, { largest });
  connection.reply(id, { kind: "Report", json: jsonOf(diff) });
};

export const answerChanges: Answer<Changes> = async (context, { id, body }, connection) => {
  const { since, until, tables, batch } = body;
  checkName("version", since);
  if (until !== undefined) checkName("version", until);
  for (const name of tables ?? []) checkName("table", name);
  const batchRows = batch === 0 ? 1024 : batch;
  checkInteger("changes: batch", batchRows, 1, 65_536);
  const changes = context.shard.versions.changes({ since, until, tables, batchRows });
  for await (const one of changes) {
    if (connection.isOver(id)) return;
    connection.reply(id, changedRows(one), true);
    await connection.flowing();
  }
  connection.reply(id, changedRows(nothing));
};

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

function changedRows({
  table,
  reset,
  keys,
  rows,
  state,
  frequency,
  lastStep,
  added,
  distance,
  removed,
}: ChangeBatch) {
  const count = keys.length;
  const dim = count === 0 ? 0 : rows.length / count;
  const stateFloats = count === 0 ? 0 : state.length / count;
  const columns =
    count === 0
      ? 0
      : Column.Values |
        (stateFloats > 0 ? Column.State : 0) |
        Column.Counts |
        Column.LastStep |
        Column.Added |
        Column.Distance;
  const data =
    count === 0 ? [] : [rows, ...(stateFloats > 0 ? [state] : []), frequency, lastStep, added, distance];
  return {
    kind: "ChangedRows",
    table,
    reset,
    rows: { count, dim, stateFloats, columns, keys, data },
    removed,
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
