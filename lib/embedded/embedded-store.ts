import {
  checkFields,
  checkInteger,
  checkMark,
  checkNote,
  checkWork,
  checkWriteBytes,
  resolveAck,
  resolveStep,
} from "../api/arguments.js";
import { checkName } from "../api/names.js";
import { describe } from "../api/option-reader.js";
import type {
  ChangeBatch,
  CheckpointInfo,
  CheckpointOptions,
  PullRequest,
  PushOptions,
  PushRequest,
  RollbackInfo,
  StateDiff,
  Store,
  StoreStats,
  Table,
  TableOptions,
  TableStats,
  Tensor,
  TensorOptions,
  VersionChangesOptions,
  VersionDiffOptions,
  VersionInfo,
} from "../api/store-types.js";
import { EmbershardError } from "../base/errors.js";
import { versionBytes } from "../shard/image-use.js";
import { Shard, type StoreHold } from "../shard/shard.js";
import { lastLsn } from "../shard/shard-state.js";
import { EmbeddedTable, statsOf } from "./embedded-table.js";
import { EmbeddedTensor, tensorShape } from "./embedded-tensor.js";
import { formatVersion } from "./identity.js";

/** A store in this process: one shard over one directory. Made by `openStore`. */
export class EmbeddedStore implements Store {
  readonly directory: string;
  readonly #shard: Shard;
  readonly #onClose: () => Promise<void>;
  #closing: Promise<void> | undefined;

  constructor(directory: string, shard: Shard, onClose: () => Promise<void>) {
    this.directory = directory;
    this.#shard = shard;
    this.#onClose = onClose;
  }

  async table(name: string, options?: TableOptions): Promise<Table> {
    checkName("table", name);
    this.#demandKind(name, false);
    return new EmbeddedTable(this.#shard, await this.#shard.openTable(name, options));
  }

  async tensor(name: string, options?: TensorOptions): Promise<Tensor> {
    checkName("tensor", name);
    this.#demandKind(name, true);
    const known = this.#shard.tables.get(name)?.definition.tensor;
    if (options === undefined)
      return new EmbeddedTensor(this.#shard, await this.#shard.openTable(name, undefined));
    if (typeof options !== "object" || options === null) {
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `tensor "${name}": found ${describe(options)}, expected an object of options`,
      );
    }
    const { shape, block, ...rest } = options;
    if ("dim" in rest)
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `tensor "${name}": found unknown option "dim", expected shape, and block for the floats of a row`,
      );
    const tensor = tensorShape(name, shape ?? known?.shape, block ?? known?.block);
    const table = await this.#shard.openTable(name, { ...rest, dim: tensor.block }, tensor);
    return new EmbeddedTensor(this.#shard, table);
  }

  #demandKind(name: string, tensor: boolean): void {
    const known = this.#shard.tables.get(name);
    if (!known || (known.definition.tensor !== undefined) === tensor) return;
    throw new EmbershardError(
      "TABLE_MISMATCH",
      `"${name}" is a ${tensor ? "table" : "tensor"}: open it with store.${tensor ? "table" : "tensor"}, or choose another name`,
    );
  }

  async tables(): Promise<TableStats[]> {
    return this.#tables();
  }

  #tables(): TableStats[] {
    return [...this.#shard.tables.values()].map((table) => statsOf(this.#shard, table));
  }

  async dropTable(name: string): Promise<void> {
    await this.#shard.dropTable(name);
  }

  async pull(requests: readonly PullRequest[]): Promise<Float32Array[]> {
    const all = demandRequests("pull", requests).map((request) => {
      const { table, keys, ...options } = request as PullRequest;
      return { table: this.#tableOf("pull", table), keys, options };
    });
    // Everything is checked before anything is read.
    for (const { table, keys, options } of all) table.prepareRead(keys, options);
    return Promise.all(all.map(({ table, keys, options }) => table.pull(keys, options)));
  }

  async push(
    requests: readonly PushRequest[],
    options: Omit<PushOptions, "learningRate" | "counters"> = {},
  ): Promise<void> {
    checkFields("push", options, ["ack", "mark", "step"]);
    checkMark("push", options.mark);
    const writes = demandRequests("push", requests).map((request) => {
      const { gradients, learningRate } = request as PushRequest;
      const isTensor = "tensor" in (request as object);
      checkFields("push: a request", request, [
        ...(isTensor ? ["tensor", "from", "to"] : ["table", "keys", "counters"]),
        "gradients",
        "learningRate",
      ]);
      if (isTensor) {
        const { tensor, from, to } = request as Extract<PushRequest, { tensor: Tensor }>;
        if (!(tensor instanceof EmbeddedTensor))
          throw new EmbershardError("INVALID_ARGUMENT", "push: found a tensor that is not of this store");
        const range = {
          ...(from !== undefined && { from }),
          ...(to !== undefined && { to }),
          ...(learningRate !== undefined && { learningRate }),
        };
        return tensor.preparePush(gradients, range, this.#shard);
      }
      const { table, keys, counters } = request as Extract<PushRequest, { table: Table }>;
      return this.#tableOf("push", table).preparePush(keys, gradients, learningRate, counters);
    });
    checkWriteBytes(
      "push",
      writes.reduce((sum, { values }) => sum + (values?.byteLength ?? 0), 0),
    );
    const definitions = writes.map(({ table }) => table.definition);
    const names = definitions.map(({ name }) => name);
    const twice = names.find((name, i) => names.indexOf(name) !== i);
    if (twice !== undefined)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `push: found "${twice}" twice: join its keys into one request, so that equal keys are summed`,
      );
    const ack = resolveAck("push", options.ack, definitions);
    const step = resolveStep("push", options.step, definitions);
    await this.#shard.write(writes, { ack, step, mark: options.mark });
  }

  #tableOf(what: string, table: unknown): EmbeddedTable {
    if (!(table instanceof EmbeddedTable)) {
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `${what}: found table ${describe(table)}, expected one that store.table gave`,
      );
    }
    table.live(this.#shard);
    return table;
  }

  async checkpoint(options: CheckpointOptions = {}): Promise<CheckpointInfo> {
    checkFields("checkpoint", options, ["signal", "onProgress", "version", "note", "keep"]);
    checkWork("checkpoint", options);
    const { version, note = "", keep, ...plain } = options;
    if (version === undefined) {
      if (note !== "" || keep !== undefined)
        throw new EmbershardError(
          "INVALID_ARGUMENT",
          "checkpoint: found note or keep without version, expected a version's name with them",
        );
      return this.#shard.checkpoint(plain);
    }
    checkName("version", version);
    checkNote("checkpoint: note", note);
    if (keep !== undefined) checkInteger("checkpoint: keep", keep, 1, 2 ** 31 - 1);
    return this.#shard.checkpoint(plain, { name: version, note, keep });
  }

  async versions(): Promise<VersionInfo[]> {
    return this.#shard.versions.list();
  }

  async openVersion(name: string): Promise<Store> {
    checkName("version", name);
    return new EmbeddedStore(
      this.directory,
      Shard.ofVersion(await this.#shard.versions.read(name)),
      async () => {},
    );
  }

  async diff(from: string, to?: string, options: VersionDiffOptions = {}): Promise<StateDiff> {
    checkName("version", from);
    if (to !== undefined) checkName("version", to);
    checkFields("diff", options, ["largest", "signal", "onProgress"]);
    const { largest = 10, signal, onProgress } = options;
    checkInteger("diff: largest", largest, 0, 1000);
    checkWork("diff", options);
    return this.#shard.versions.diff(from, to, { largest, signal, onProgress });
  }

  changes(options: VersionChangesOptions): AsyncIterable<ChangeBatch> {
    checkFields("changes", options, ["since", "until", "tables", "batch", "signal", "onProgress"]);
    const { since, until, tables, batch = 1024, signal, onProgress } = options;
    checkName("version", since);
    if (until !== undefined) checkName("version", until);
    if (tables !== undefined && !Array.isArray(tables))
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `changes: found tables ${describe(tables)}, expected an array of names`,
      );
    for (const name of tables ?? []) checkName("table", name);
    checkInteger("changes: batch", batch, 1, 65_536);
    checkWork("changes", options);
    return this.#shard.versions.changes({ since, until, tables, batchRows: batch, signal, onProgress });
  }

  async rollback(name: string): Promise<RollbackInfo> {
    checkName("version", name);
    return this.#shard.rollBack(name);
  }

  async deleteVersion(name: string): Promise<void> {
    checkName("version", name);
    await this.#shard.versions.delete(name);
  }

  /**
   * Keeps the files of the log until `release`, so that they can be read beside the store. Pushes go on.
   *
   * @throws CLOSED
   */
  hold(): StoreHold {
    return this.#shard.hold();
  }

  async mark(): Promise<Uint8Array | undefined> {
    const { mark } = this.#shard;
    return mark && new Uint8Array(mark);
  }

  async stats(): Promise<StoreStats> {
    const { state, log, failure, replayed, bytesLogged } = this.#shard;
    const { committed, arenas } = state;
    return {
      directory: this.directory,
      format: formatVersion,
      tables: this.#tables(),
      memory: { arenas: arenas.all.length, bytes: arenas.usedBytes(), hugePages: arenas.front.hugePages },
      log: {
        lsn: lastLsn(state),
        writtenLsn: log.writtenLsn,
        syncedLsn: log.syncedLsn,
        pendingBytes: log.pendingBytes,
        bytes: bytesLogged,
        segments: log.segments,
        replayed,
      },
      checkpoint: committed
        ? {
            generation: committed.generation,
            lsn: committed.lsn,
            at: committed.at,
            ageMs: Math.max(0, state.clock.now() - committed.at),
            pages: committed.pages,
          }
        : null,
      versions: { count: state.versions.size, ownBytes: versionBytes(state) },
      ...(state.version !== undefined && { version: state.version }),
      health: failure ? "read-only" : "ok",
      ...(failure && { reason: failure.message }),
    };
  }

  close(): Promise<void> {
    this.#closing ??= (async () => {
      // First, while the directory is still ours: the next owner makes its own.
      try {
        await this.#onClose();
      } finally {
        await this.#shard.close();
      }
    })();
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

function demandRequests(what: string, requests: unknown): readonly unknown[] {
  if (
    !Array.isArray(requests) ||
    requests.some((request) => typeof request !== "object" || request === null)
  ) {
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `${what}: found ${describe(requests)}, expected an array of requests`,
    );
  }
  return requests;
}
