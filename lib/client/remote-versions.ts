// Checkpoints and versions of shards on nodes. Over several shards a version has a part in each, all of one instant: while each
// takes its own, none of them writes. Parts say in `cut` which of them belong together; a version counts where every shard has its part.
import { randomBytes } from "node:crypto";
import type { ChangesRequest, VersionRequest, Work } from "../api/backend.js";
import type { CheckpointInfo, CheckpointProgress } from "../api/checkpoint-types.js";
import type { ChangeBatch } from "../api/row-batches.js";
import type { RollbackInfo, StateDiff, VersionInfo } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import { joinCheckpoints, joinDiffs, joinRollbacks, joinVersions } from "./joined-versions.js";
import { changesOf } from "./remote-scan.js";
import type { Requests } from "./requests.js";
import { askTogether } from "./together.js";

export class RemoteVersions {
  readonly #requests: Requests;
  readonly #keep: number | undefined;

  constructor(requests: Requests, keep: number | undefined) {
    this.#requests = requests;
    this.#keep = keep;
  }

  get #alone(): boolean {
    return this.#requests.cluster.owners.length === 1;
  }

  async checkpoint({ signal }: Work<CheckpointProgress>, version?: VersionRequest): Promise<CheckpointInfo> {
    if (version && !this.#alone) return this.#checkpointTogether(version, signal);
    const { name, note, keep } = version ?? {};
    const infos = await this.#requests.askAll(
      { kind: "Checkpoint", version: name, note, keep },
      "Report",
      ({ json }) => JSON.parse(json) as CheckpointInfo,
      signal,
    );
    return joinCheckpoints(infos);
  }

  async #checkpointTogether(
    { name, note, keep = this.#keep }: VersionRequest,
    signal: AbortSignal | undefined,
  ): Promise<CheckpointInfo> {
    const known = (await this.list()).find((one) => one.name === name);
    if (known && known.damage === undefined)
      throw new EmbershardError(
        "VERSION_EXISTS",
        `there is a version "${name}" already: delete it first, or choose another name`,
      );
    // Parts of one that was not finished make room for this one.
    if (known) await this.delete(name);
    const cut = randomBytes(8).readBigUInt64LE() | 1n;
    try {
      const answers = await askTogether(
        this.#requests,
        { kind: "Checkpoint", version: name, note, cut },
        ["begun", "ready", "still"],
        signal,
      );
      const info = joinCheckpoints(answers.map((json) => JSON.parse(json) as CheckpointInfo));
      const deleted = keep === undefined ? [] : await this.#keepNewest(keep);
      return { ...info, version: { name, folded: info.version?.folded ?? 0, deleted } };
    } catch (error) {
      // What cannot be deleted now is listed as what it is.
      await this.#deleteParts(name, cut).catch(() => {});
      throw error;
    }
  }

  /** Of shards that are there; who waited for others might wait for long. */
  async #deleteParts(name: string, cut: bigint): Promise<void> {
    const { cluster } = this.#requests;
    const there = cluster.owners.filter((owner) => cluster.openChannel(owner) !== undefined);
    await Promise.all(
      there.map(async (owner) => {
        const { body: parts } = await this.#requests.ask(
          owner,
          { kind: "ListVersions" },
          "Report",
          versionsOf,
        );
        if (parts.some((part) => part.name === name && part.cut === String(cut)))
          await this.#requests.ask(owner, { kind: "DeleteVersion", name }, "Done", () => undefined);
      }),
    );
  }

  async #keepNewest(keep: number): Promise<string[]> {
    const whole = (await this.list()).filter(({ damage }) => damage === undefined);
    const old = whole.slice(0, Math.max(0, whole.length - keep)).map(({ name }) => name);
    for (const name of old) await this.delete(name);
    return old;
  }

  /** Versions of each shard, in the order of `cluster.owners`. */
  #lists(): Promise<VersionInfo[][]> {
    return this.#requests.askAll({ kind: "ListVersions" }, "Report", versionsOf);
  }

  async list(): Promise<VersionInfo[]> {
    return joinVersions(await this.#lists());
  }

  /** The checkpoints that a version's parts are, by owner: "node/shard". @throws VERSION_NOT_FOUND, CORRUPT where parts are missing */
  async generations(name: string): Promise<Map<string, number>> {
    const { cluster } = this.#requests;
    const lists = await this.#lists();
    demandWhole(joinVersions(lists), name);
    const parts = lists.map((list) => list.find((one) => one.name === name) as VersionInfo);
    return new Map(
      cluster.owners.map((owner, i) => {
        const { node, shard } = cluster.map.owners[owner];
        return [`${node}/${shard}`, parts[i].generation];
      }),
    );
  }

  async delete(name: string): Promise<void> {
    const { owners } = this.#requests.cluster;
    const deleted = await Promise.allSettled(
      owners.map((owner) =>
        this.#requests.ask(owner, { kind: "DeleteVersion", name }, "Done", () => undefined),
      ),
    );
    const failures = deleted.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    // Shards without a part of it have nothing to delete.
    const missing = failures.filter(({ code }) => code === "VERSION_NOT_FOUND");
    const other = failures.find((error) => !missing.includes(error));
    if (other !== undefined) throw other;
    if (missing.length === owners.length) throw missing[0];
  }

  async diff(
    from: string,
    to: string | undefined,
    { largest, signal }: { readonly largest: number; readonly signal?: AbortSignal | undefined },
  ): Promise<StateDiff> {
    const diffs = (until: string | undefined) =>
      this.#requests.askAll(
        { kind: "Diff", from, to: until, largest },
        "Report",
        ({ json }) => diffOf(json),
        signal,
      );
    if (this.#alone) return (await diffs(to))[0];
    await this.#demandWhole(from, to);
    if (to !== undefined) return joinDiffs(await diffs(to), largest);
    const live = await this.#live(signal);
    try {
      return { ...joinDiffs(await diffs(live), largest), to: "live" };
    } finally {
      await this.delete(live);
    }
  }

  async *changes(request: ChangesRequest): AsyncGenerator<ChangeBatch> {
    const { owners } = this.#requests.cluster;
    if (this.#alone) {
      yield* changesOf(this.#requests, owners[0], request);
      return;
    }
    const { since, until, signal } = request;
    await this.#demandWhole(since, until);
    const live = until === undefined ? await this.#live(signal) : undefined;
    try {
      yield* this.#changesOfAll({ ...request, until: until ?? live });
    } finally {
      if (live !== undefined) await this.delete(live);
    }
  }

  /** Tables that begin anew are told once, before what shards have of them. */
  async *#changesOfAll(request: ChangesRequest): AsyncGenerator<ChangeBatch> {
    const { owners } = this.#requests.cluster;
    const all = owners.map((owner) => changesOf(this.#requests, owner, request));
    try {
      const anew = new Set<string>();
      const firsts: ChangeBatch[] = [];
      for (const one of all) {
        let step = await one.next();
        for (; !step.done && step.value.reset; step = await one.next()) {
          if (!anew.has(step.value.table)) yield step.value;
          anew.add(step.value.table);
        }
        if (!step.done) firsts.push(step.value);
      }
      yield* firsts;
      for (const one of all) yield* one;
    } finally {
      await Promise.all(all.map((one) => one.return(undefined)));
    }
  }

  /** Makes a version of the live state, to be compared with and deleted. */
  async #live(signal: AbortSignal | undefined): Promise<string> {
    const name = `live-${randomBytes(8).toString("hex")}`;
    const note = "the live state, for a comparison: to be deleted if that has ended";
    await this.#checkpointTogether({ name, note, keep: Number.MAX_SAFE_INTEGER }, signal);
    return name;
  }

  async #demandWhole(...names: (string | undefined)[]): Promise<void> {
    const all = await this.list();
    for (const name of names) if (name !== undefined) demandWhole(all, name);
  }

  async rollback(name: string): Promise<RollbackInfo> {
    if (this.#alone) {
      const [info] = await this.#requests.askAll(
        { kind: "Rollback", name },
        "Report",
        ({ json }) => JSON.parse(json) as RollbackInfo,
      );
      return info;
    }
    const { cut } = demandWhole(await this.list(), name);
    const body = { kind: "Rollback", name, cut: BigInt(cut ?? 0) } as const;
    const answers = await askTogether(this.#requests, body, ["begun", "still"]);
    return joinRollbacks(answers.map((json) => JSON.parse(json) as RollbackInfo));
  }
}

/** @throws VERSION_NOT_FOUND, CORRUPT where it cannot be read */
function demandWhole(all: readonly VersionInfo[], name: string): VersionInfo {
  const found = all.find((one) => one.name === name);
  if (!found)
    throw new EmbershardError(
      "VERSION_NOT_FOUND",
      `there is no version "${name}"; there ${all.length === 0 ? "are none" : `are ${all.map((one) => one.name).join(", ")}`}`,
    );
  if (found.damage === undefined) return found;
  throw new EmbershardError("CORRUPT", `version "${name}": ${found.damage}`);
}

function versionsOf({ json }: { readonly json: string }): VersionInfo[] {
  return JSON.parse(json) as VersionInfo[];
}

/** A diff from JSON, where keys are decimal text. */
function diffOf(json: string): StateDiff {
  const diff = JSON.parse(json) as StateDiff;
  const tables = diff.tables.map((table) => ({
    ...table,
    largest: table.largest.map(({ key, distance }) => ({ key: BigInt(key), distance })),
  }));
  return { ...diff, tables };
}
