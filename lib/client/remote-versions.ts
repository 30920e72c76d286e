// Checkpoints and versions of shards on nodes. Over several shards a version has a part in each, all of one instant: while each
// takes its own, none of them writes. Parts say in `cut` which of them belong together; a version counts where every shard has its part.
import type { ChangesRequest, VersionRequest, Work } from "../api/backend.js";
import type { CheckpointInfo, CheckpointProgress } from "../api/checkpoint-types.js";
import type { ChangeBatch } from "../api/row-batches.js";
import type { RollbackInfo, StateDiff, VersionInfo } from "../api/version-types.js";
import { EmbershardError } from "../base/errors.js";
import { joinCheckpoints, joinDiffs, joinRollbacks, joinVersions } from "./joined-versions.js";
import { type BegunChanges, changesOf, changesToLive } from "./remote-scan.js";
import type { Requests } from "./requests.js";
import { askTogether, takeReport } from "./together.js";

/** What the parts of each of some versions have in common, by name. */
type Cuts = ReadonlyMap<string, string | undefined>;

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

  /** What the parts of one instant have in common: a random number, not 0. */
  #cut(): bigint {
    const { random } = this.#requests.settings;
    const half = () => BigInt(Math.floor(random() * 2 ** 32));
    return (half() << 32n) | half() | 1n;
  }

  async checkpoint({ signal }: Work<CheckpointProgress>, version?: VersionRequest): Promise<CheckpointInfo> {
    if (version && !this.#alone) return this.#checkpointTogether(version, signal);
    const { name, note, keep } = version ?? {};
    const infos = await this.#requests.askAll(
      { kind: "Checkpoint", version: name, note, keep },
      "Report",
      ({ json }) => JSON.parse(json) as CheckpointInfo,
      { signal },
    );
    return joinCheckpoints(infos);
  }

  /**
   * The first shard has its part last: a version that it has a part of is there, whole. While it is at work on one no other is made; so what
   * others had by the same name before it began is what is left of one that came to nothing.
   */
  async #checkpointTogether(
    { name, note, keep = this.#keep }: VersionRequest,
    signal: AbortSignal | undefined,
  ): Promise<CheckpointInfo> {
    const left = await this.#demandRoom(name);
    const cut = this.#cut();
    let begun = false;
    try {
      const answers = await askTogether(this.#requests, {
        body: { kind: "Checkpoint", version: name, note, cut },
        stages: ["begun", "ready", "still", "written"],
        take: takeReport,
        begun: async () => {
          begun = true;
          await Promise.all(left.map(([owner, its]) => this.#deleteOf([owner], name, its)));
        },
        firstLast: true,
        signal,
      });
      const info = joinCheckpoints(answers.map((json) => JSON.parse(json) as CheckpointInfo));
      const deleted = keep === undefined ? [] : await this.#keepNewest(keep);
      return { ...info, version: { name, folded: info.version?.folded ?? 0, deleted } };
    } catch (error) {
      // What cannot be deleted now is listed as what it is.
      if (begun) await this.#giveUp(name, cut).catch(() => {});
      if (!begun || (error as { code?: unknown }).code !== "VERSION_EXISTS") throw error;
      throw new EmbershardError(
        "ABORTED",
        `version "${name}": a shard has just got a part of one that came to nothing; nothing was done, try again`,
        { cause: error },
      );
    }
  }

  /**
   * Deletes what there is of a version that is not whole, by its name, if the first shard has a part of it. Gives the parts that others
   * have, by owner and cut: they go once the first shard has begun, and not what is there by then, since that may come late, when
   * another has been made.
   *
   * @throws VERSION_EXISTS
   */
  async #demandRoom(name: string): Promise<[owner: number, cut: bigint][]> {
    const lists = await this.#lists();
    const known = joinVersions(lists).find((one) => one.name === name);
    if (!known) return [];
    if (known.damage === undefined)
      throw new EmbershardError(
        "VERSION_EXISTS",
        `there is a version "${name}" already: delete it first, or choose another name`,
      );
    const [part, ...others] = lists.map((list) => list.find((one) => one.name === name));
    // Of what the first shard has no part somebody may be at work on one.
    if (part) await this.#deleteParts(name, cutOf(part));
    return others.flatMap((one, i) => (one ? [[this.#others[i], cutOf(one)]] : []));
  }

  /** Deletes parts of a version that came to nothing. Where the first shard cannot say whether it did, they stay. */
  async #giveUp(name: string, cut: bigint): Promise<void> {
    const { cluster } = this.#requests;
    // Who waited for others might wait for long.
    const there = cluster.owners.filter((owner) => cluster.openChannel(owner) !== undefined);
    if (there[0] !== cluster.owners[0]) return;
    await this.#deleteOf([there[0]], name, cut);
    await this.#deleteOf(there.slice(1), name, cut);
  }

  get #others(): number[] {
    return this.#requests.cluster.owners.slice(1);
  }

  /** Deletes parts, the first shard's first. Returns whether there were any. */
  async #deleteParts(name: string, cut: bigint): Promise<boolean> {
    const first = await this.#deleteOf(this.#requests.cluster.owners.slice(0, 1), name, cut);
    return (await this.#deleteOf(this.#others, name, cut)) || first;
  }

  /** Deletes the parts that shards have. Returns whether any has one. */
  async #deleteOf(owners: readonly number[], name: string, cut: bigint): Promise<boolean> {
    const body = { kind: "DeleteVersion", name, cut } as const;
    const settled = await Promise.allSettled(
      owners.map((owner) => this.#requests.ask(owner, body, "Done", () => undefined)),
    );
    const failures = settled.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    const other = failures.find(({ code }) => code !== "VERSION_NOT_FOUND");
    if (other !== undefined) throw other;
    return failures.length < owners.length;
  }

  async #keepNewest(keep: number): Promise<string[]> {
    const whole = (await this.list()).filter(({ damage }) => damage === undefined);
    const old = whole.slice(0, Math.max(0, whole.length - keep)).map(({ name }) => name);
    for (const name of old) await this.delete(name);
    return old;
  }

  /**
   * Versions of each shard, in the order of `cluster.owners`. The first is asked first: what it has a part of was whole then.
   */
  async #lists(): Promise<VersionInfo[][]> {
    const first = await this.#list(this.#requests.cluster.owners[0]);
    return [first, ...(await Promise.all(this.#others.map((owner) => this.#list(owner))))];
  }

  async #list(owner: number): Promise<VersionInfo[]> {
    return (await this.#requests.ask(owner, { kind: "ListVersions" }, "Report", versionsOf)).body;
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
    const lists = await this.#lists();
    const parts = lists.flat().filter((one) => one.name === name);
    if (parts.length === 0) throw notFound(lists.flat(), name);
    // Not what is made by this name meanwhile.
    const cuts = new Set(parts.map(cutOf));
    let deleted = false;
    for (const cut of cuts) deleted = (await this.#deleteParts(name, cut)) || deleted;
    if (!deleted) throw notFound([], name);
  }

  async diff(
    from: string,
    to: string | undefined,
    { largest, signal }: { readonly largest: number; readonly signal?: AbortSignal | undefined },
  ): Promise<StateDiff> {
    const diffs = () =>
      this.#requests.askAll({ kind: "Diff", from, to, largest }, "Report", ({ json }) => diffOf(json), {
        signal,
      });
    if (this.#alone) return (await diffs())[0];
    const cuts = await this.#wholeCuts(from, to);
    const parts = to === undefined ? await this.#diffsToLive(from, largest, signal) : await diffs();
    await this.#demandCuts(cuts);
    return joinDiffs(parts, largest);
  }

  async #diffsToLive(from: string, largest: number, signal: AbortSignal | undefined): Promise<StateDiff[]> {
    const answers = await askTogether(this.#requests, {
      body: { kind: "Diff", from, largest, cut: this.#cut() },
      stages: ["begun", "ready", "still"],
      take: takeReport,
      signal,
    });
    return answers.map(diffOf);
  }

  async *changes(request: ChangesRequest): AsyncGenerator<ChangeBatch> {
    const { owners } = this.#requests.cluster;
    if (this.#alone) {
      yield* changesOf(this.#requests, owners[0], request);
      return;
    }
    const { since, until } = request;
    const cuts = await this.#wholeCuts(since, until);
    const begun = until === undefined ? await changesToLive(this.#requests, request, this.#cut()) : [];
    yield* this.#changesOfAll(request, begun, cuts);
  }

  /** Tables that begin anew are told once, before what shards have of them. */
  async *#changesOfAll(
    request: ChangesRequest,
    begun: readonly BegunChanges[],
    cuts: Cuts,
  ): AsyncGenerator<ChangeBatch> {
    const { owners } = this.#requests.cluster;
    const all = owners.map((owner, i) => changesOf(this.#requests, owner, request, begun[i]));
    try {
      const anew = new Set<string>();
      const firsts: ChangeBatch[] = [];
      // All of them have begun then, and end when they are told to.
      const steps = await Promise.all(all.map((one) => one.next()));
      await this.#demandCuts(cuts);
      for (const [i, one] of all.entries()) {
        let step = steps[i];
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

  async #wholeCuts(...names: (string | undefined)[]): Promise<Cuts> {
    const all = await this.list();
    return new Map(names.flatMap((name) => (name === undefined ? [] : [[name, demandWhole(all, name).cut]])));
  }

  /** Demands that shards have read parts of the versions that were meant. @throws ABORTED */
  async #demandCuts(cuts: Cuts): Promise<void> {
    for (const { name, cut } of (await this.#lists()).flat())
      if (cuts.has(name) && cuts.get(name) !== cut)
        throw new EmbershardError(
          "ABORTED",
          `version "${name}" was deleted and made anew while it was read: try again`,
        );
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
    const cut = cutOf(demandWhole(await this.list(), name));
    const answers = await askTogether(this.#requests, {
      body: { kind: "Rollback", name, cut },
      stages: ["begun", "still"],
      take: takeReport,
    });
    return joinRollbacks(answers.map((json) => JSON.parse(json) as RollbackInfo));
  }
}

/** @throws VERSION_NOT_FOUND, CORRUPT where it cannot be read */
function demandWhole(all: readonly VersionInfo[], name: string): VersionInfo {
  const found = all.find((one) => one.name === name);
  if (!found) throw notFound(all, name);
  if (found.damage === undefined) return found;
  throw new EmbershardError("CORRUPT", `version "${name}": ${found.damage}`);
}

function notFound(all: readonly VersionInfo[], name: string): EmbershardError {
  const names = [...new Set(all.map((one) => one.name))].join(", ");
  return new EmbershardError(
    "VERSION_NOT_FOUND",
    `there is no version "${name}"; there ${names === "" ? "are none" : `are ${names}`}`,
  );
}

/** What a part has in common with the others of its version. */
function cutOf({ cut }: Pick<VersionInfo, "cut">): bigint {
  return BigInt(cut ?? 0);
}

function versionsOf({ json }: { readonly json: string }): VersionInfo[] {
  return JSON.parse(json) as VersionInfo[];
}

/** A diff from JSON, where keys are decimal text, and distances that are not finite are text, too. */
function diffOf(json: string): StateDiff {
  const diff = JSON.parse(json) as StateDiff;
  const tables = diff.tables.map((table) => ({
    ...table,
    largest: table.largest.map(({ key, distance }) => ({ key: BigInt(key), distance: Number(distance) })),
  }));
  return { ...diff, tables };
}
