// The store that callers have: checks what it is given, and hands it to who does the work.
import { EmbershardError } from "../base/errors.js";
import {
  checkFields,
  checkInteger,
  checkMark,
  checkNote,
  checkWork,
  checkWriteBytes,
  resolveStep,
  resolveWrite,
} from "./arguments.js";
import type { Backend, TableHandle } from "./backend.js";
import { CheckedTable } from "./checked-table.js";
import { CheckedTensor } from "./checked-tensor.js";
import { checkName } from "./names.js";
import { describe } from "./option-reader.js";
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
} from "./store-types.js";

/** A store over a backend. */
export class CheckedStore<T extends TableHandle> implements Store {
  readonly #backend: Backend<T>;

  constructor(backend: Backend<T>) {
    this.#backend = backend;
  }

  get directory(): string {
    return this.#backend.location;
  }

  async table(name: string, options?: TableOptions): Promise<Table> {
    checkName("table", name);
    return new CheckedTable(this.#backend, await this.#backend.openTable(name, options));
  }

  async tensor(name: string, options?: TensorOptions): Promise<Tensor> {
    checkName("tensor", name);
    return new CheckedTensor(this.#backend, await this.#backend.openTensor(name, options));
  }

  async tables(): Promise<TableStats[]> {
    return this.#backend.tables();
  }

  async dropTable(name: string): Promise<void> {
    await this.#backend.dropTable(name);
  }

  async pull(requests: readonly PullRequest[]): Promise<Float32Array[]> {
    const all = demandRequests("pull", requests).map((request) => {
      const { table, keys, ...options } = request as PullRequest;
      return { table: this.#tableOf("pull", table), keys, options };
    });
    // Everything is checked before anything is read.
    const reads = all.map(({ table, keys, options }) => table.prepareRead(keys, options));
    const reading = this.#backend.pull(reads);
    if (reading) await reading;
    return all.map(({ table, options }, i) => {
      table.finishRead(reads[i], options);
      return reads[i].into;
    });
  }

  async push(
    requests: readonly PushRequest[],
    options: Omit<PushOptions, "learningRate" | "counters"> = {},
  ): Promise<void> {
    checkFields("push", options, ["ack", "mark", "signal", "step"]);
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
        if (!(tensor instanceof CheckedTensor))
          throw new EmbershardError("INVALID_ARGUMENT", "push: found a tensor that is not of this store");
        if (!tensor.isOf(this.#backend))
          throw new EmbershardError("INVALID_ARGUMENT", `tensor "${tensor.name}" is of another store`);
        const range = {
          ...(from !== undefined && { from }),
          ...(to !== undefined && { to }),
          ...(learningRate !== undefined && { learningRate }),
        };
        return (tensor as CheckedTensor<T>).preparePush(gradients, range);
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
    const step = resolveStep("push", options.step, definitions);
    await this.#backend.write(writes, resolveWrite("push", options, definitions, step));
  }

  #tableOf(what: string, table: unknown): CheckedTable<T> {
    if (!(table instanceof CheckedTable)) {
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `${what}: found table ${describe(table)}, expected one that store.table gave`,
      );
    }
    if (!table.isOf(this.#backend))
      throw new EmbershardError("INVALID_ARGUMENT", `table "${table.name}" is of another store`);
    table.live();
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
      return this.#backend.checkpoint(plain);
    }
    checkName("version", version);
    checkNote("checkpoint: note", note);
    if (keep !== undefined) checkInteger("checkpoint: keep", keep, 1, 2 ** 31 - 1);
    return this.#backend.checkpoint(plain, { name: version, note, keep });
  }

  async versions(): Promise<VersionInfo[]> {
    return this.#backend.versions();
  }

  async openVersion(name: string): Promise<Store> {
    checkName("version", name);
    return this.#backend.openVersion(name);
  }

  async diff(from: string, to?: string, options: VersionDiffOptions = {}): Promise<StateDiff> {
    checkName("version", from);
    if (to !== undefined) checkName("version", to);
    checkFields("diff", options, ["largest", "signal", "onProgress"]);
    const { largest = 10, signal, onProgress } = options;
    checkInteger("diff: largest", largest, 0, 1000);
    checkWork("diff", options);
    return this.#backend.diff(from, to, { largest, signal, onProgress });
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
    return this.#backend.changes({ since, until, tables, batchRows: batch, signal, onProgress });
  }

  async rollback(name: string): Promise<RollbackInfo> {
    checkName("version", name);
    return this.#backend.rollback(name);
  }

  async deleteVersion(name: string): Promise<void> {
    checkName("version", name);
    await this.#backend.deleteVersion(name);
  }

  async mark(): Promise<Uint8Array | undefined> {
    return this.#backend.mark();
  }

  async stats(): Promise<StoreStats> {
    return this.#backend.stats();
  }

  close(): Promise<void> {
    return this.#backend.close();
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
