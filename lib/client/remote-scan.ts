// Scans, and changes since a version: shard after shard, batch by batch, each asked for when it is wanted.
import type { ChangesRequest } from "../api/backend.js";
import type { ChangeBatch, ScanBatch } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import { columnPlaces, float64Column } from "../wire/columns.js";
import {
  type Body,
  type BodyInput,
  type ChangedRows,
  ScanOf,
  type ScanRows,
} from "../wire/generated/frame-types.js";
import { unexpected } from "./channel.js";
import { receivedRows } from "./received-rows.js";
import type { RemoteTable } from "./remote-table.js";
import type { Requests } from "./requests.js";
import { askTogether } from "./together.js";

/** Reads rows, or candidates, of a table in batches. A shard's scan ends with the connection that it began on: ABORTED. */
export async function* scanTable(
  requests: Requests,
  table: RemoteTable,
  of: keyof typeof ScanOf,
  batch: number,
): AsyncGenerator<ScanBatch> {
  for (const owner of requests.cluster.owners) {
    const { id, fingerprint } = table;
    yield* goOver(requests, owner, {
      kind: "ScanRows",
      question: (cursor) => {
        if (table.dropped)
          throw new EmbershardError(
            "TABLE_NOT_FOUND",
            `table "${table.definition.name}" was dropped during the scan`,
          );
        return { kind: "Scan", table: id, fingerprint, of: ScanOf[of], batch, cursor };
      },
      take: ({ rows, cursor }: ScanRows) => ({ value: receivedRows(table.counters, rows), cursor }),
    });
  }
}

/** The first changes of a shard that has begun to tell of them. */
export type BegunChanges = Begun<ChangeBatch>;

/** Reads what changed in one shard, in batches, or goes on with it. Its connection ends it: ABORTED. */
export function changesOf(
  requests: Requests,
  owner: number,
  { since, until, tables, batchRows, signal }: ChangesRequest,
  begun?: BegunChanges,
): AsyncGenerator<ChangeBatch> {
  const steps: Steps<"ChangedRows", ChangeBatch> = {
    kind: "ChangedRows",
    question: (cursor) => ({
      kind: "Changes",
      since,
      until,
      tables: tables && [...tables],
      batch: batchRows,
      cursor,
    }),
    take: takeChanges,
    signal,
  };
  return goOver(requests, owner, steps, begun);
}

/** Has all shards begin to tell what has changed until now, an instant that is the same for all. Whoever asks goes on with all of them. */
export function changesToLive(
  requests: Requests,
  { since, tables, batchRows, signal }: ChangesRequest,
  cut: bigint,
): Promise<BegunChanges[]> {
  return askTogether(requests, {
    body: { kind: "Changes", since, tables: tables && [...tables], batch: batchRows, cut },
    stages: ["begun", "ready", "still"],
    take: (body, channel) => {
      if (body.kind !== "ChangedRows") throw unexpected(channel.name, body.kind, "ChangedRows");
      const { value, cursor } = takeChanges(body);
      return { value, cursor: cursor?.slice(), connection: requests.numberOf(channel), channel };
    },
    unused: ({ cursor, channel }) => {
      if (cursor) channel.request({ kind: "EndScan", cursor }, {}, { answer: () => {}, failed: () => {} });
    },
    signal,
  });
}

function takeChanges(changed: ChangedRows): { value: ChangeBatch; cursor: Uint8Array | undefined } {
  return { value: changeBatchOf(changed), cursor: changed.cursor };
}

function changeBatchOf({ table, reset, rows, removed, counters: names }: ChangedRows): ChangeBatch {
  const { count: n, data } = rows;
  const places = columnPlaces(rows, 0);
  const { keys, rows: values, state, frequency, lastStep, counters } = receivedRows(names ?? [], rows);
  return {
    table,
    reset,
    keys,
    rows: values,
    state,
    frequency,
    lastStep,
    ...(counters && { counters }),
    added: places.added < 0 ? new Uint8Array(n) : data.slice(places.added, places.added + n),
    distance: places.distance < 0 ? new Float64Array(n) : float64Column(data, places.distance, n).slice(),
    removed: removed.slice(),
  };
}

/** What a shard is asked for step by step. */
interface Steps<K extends "ScanRows" | "ChangedRows", T> {
  readonly kind: K;
  readonly question: (cursor: Uint8Array | undefined) => BodyInput;
  /** What is kept of an answer, which is borrowed. */
  readonly take: (body: Extract<Body, { kind: K }>) => {
    readonly value: T;
    readonly cursor: Uint8Array | undefined;
  };
  readonly signal?: AbortSignal | undefined;
}

/** A first step that has been taken already. */
interface Begun<T> {
  readonly value: T;
  readonly cursor: Uint8Array | undefined;
  readonly connection: number;
}

/** Asks for the next step when the one before has been taken. Where the caller stops early, it ends at the shard, too. */
async function* goOver<K extends "ScanRows" | "ChangedRows", T>(
  requests: Requests,
  owner: number,
  { kind, question, take, signal }: Steps<K, T>,
  begun?: Begun<T>,
): AsyncGenerator<T> {
  let cursor = begun?.cursor;
  let channel = begun?.connection;
  try {
    if (begun && cursor === undefined) return;
    if (begun) yield begun.value;
    for (;;) {
      const body = question(cursor);
      const { body: step, connection } = await requests.ask(
        owner,
        body,
        kind,
        (answer) => {
          const { value, cursor: next } = take(answer);
          return { value, cursor: next?.slice() };
        },
        // A cursor means nothing on another connection.
        { connection: channel, signal },
      );
      channel = connection;
      cursor = step.cursor;
      if (cursor === undefined) return;
      yield step.value;
    }
  } finally {
    // Also where a step failed: what was refused before it came to the scan, as of a table that is gone, has not ended it.
    if (cursor !== undefined && channel !== undefined)
      requests.tell(owner, channel, { kind: "EndScan", cursor });
  }
}
