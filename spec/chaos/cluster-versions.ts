// Versions that are made of a cluster while its nodes and workers are killed.
import { readFileSync } from "node:fs";
import type { ErrorCode } from "../../lib/base/errors.js";
import type { Prng } from "../../lib/base/prng.js";
import { connect, type Store } from "../../lib/index.js";
import type { ClusterProcesses } from "../node/cluster-processes.js";
import { ClusterDamage, type WorkerHistory } from "./cluster-expectation.js";
import { ownName } from "./cluster-pushes.js";
import { type Contents, readContents } from "./world.js";

/** Versions that are kept; older ones are deleted. */
const keptVersions = 5;
/** What a call may fail with while nodes are killed. */
const excused: readonly ErrorCode[] = ["UNAVAILABLE", "ABORTED", "DEADLINE", "READ_ONLY", "OVERLOADED", "IO"];

/** A version that was said to be there, and the journals' lines before it was asked for and after that. */
interface KeptVersion {
  readonly name: string;
  readonly before: readonly (readonly string[])[];
  readonly after: readonly (readonly string[])[];
}

/** Makes versions, one after the other, until it is told to end. */
export class VersionMaker {
  made = 0;
  /** Calls that failed. */
  failed = 0;
  #kept: KeptVersion[] = [];
  #ending = false;
  readonly #store: Store;
  readonly #journals: readonly string[];
  readonly #running: Promise<void>;

  private constructor(store: Store, journals: readonly string[]) {
    this.#store = store;
    this.#journals = journals;
    this.#running = this.#run();
    // It is heard of in the end.
    this.#running.catch(() => {});
  }

  static async begin(address: string, journals: readonly string[]): Promise<VersionMaker> {
    return new VersionMaker(await connect(address, { deadlineMs: 20_000 }), journals);
  }

  async #run(): Promise<void> {
    for (let i = 0; !this.#ending; i++) {
      const name = `v${i}`;
      const before = this.#lines();
      if (await this.#attempt(() => this.#store.checkpoint({ version: name }))) {
        this.made++;
        this.#kept.push({ name, before, after: this.#lines() });
      } else this.failed++;
      const oldest = this.#kept[0];
      // What is not known to be deleted may be there, or not.
      if (this.#kept.length > keptVersions && this.#kept.shift())
        await this.#attempt(() => this.#store.deleteVersion(oldest.name));
      await new Promise((resolve) => setTimeout(resolve, 30));
    }
  }

  async #attempt(work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!excused.includes((error as { code: ErrorCode }).code)) throw error;
      return false;
    }
  }

  #lines(): string[][] {
    return this.#journals.map((journal) => readFileSync(journal, "utf8").split("\n").slice(0, -1));
  }

  /** Makes no more. @throws what went wrong */
  async end(): Promise<void> {
    this.#ending = true;
    await this.#running;
  }

  async close(): Promise<void> {
    this.#ending = true;
    await this.#store.close();
  }

  /** Demands that what was made is there, whole and of one instant. Gives the contents of the last. @throws ClusterDamage */
  async demand(
    histories: readonly WorkerHistory[],
  ): Promise<{ name: string; contents: Contents } | undefined> {
    const list = await this.#store.versions();
    let last: { name: string; contents: Contents } | undefined;
    for (const kept of this.#kept) {
      const { name } = kept;
      const found = list.find((one) => one.name === name);
      if (!found || found.damage !== undefined)
        throw new ClusterDamage(`version ${name} was made, and is ${found?.damage ?? "not there"}`);
      const version = await this.#store.openVersion(name);
      const contents = await readContents(version);
      await version.close();
      for (const [worker, history] of histories.entries()) {
        const rows = contents.tables.get(ownName(worker))?.rows ?? new Map();
        const wrong = history.differenceOf(rows, kept.before[worker], kept.after[worker]);
        if (wrong !== undefined) throw new ClusterDamage(`version ${name}, worker ${worker}: ${wrong}`);
      }
      last = { name, contents };
    }
    return last;
  }

  /** Rolls back to a version while a node is killed, again until it has happened. @throws ClusterDamage where the store is not that then */
  async demandRollback(
    cluster: ClusterProcesses,
    { name, contents }: { readonly name: string; readonly contents: Contents },
    random: Prng,
  ): Promise<void> {
    const killed = cluster.members[random.below(cluster.members.length)].name;
    const rolling = this.#attempt(() => this.#store.rollback(name));
    await new Promise((resolve) => setTimeout(resolve, random.unit() * 20));
    await cluster.kill(killed);
    await cluster.begin(killed);
    await rolling;
    while (!(await this.#attempt(() => this.#store.rollback(name))));
    const now = await readContents(this.#store);
    for (const [table, { rows }] of contents.tables) {
      const found = now.tables.get(table)?.rows;
      const text = (one: typeof rows | undefined) =>
        JSON.stringify([...(one ?? [])].map(([key, row]) => [`${key}`, row]).sort());
      if (text(found) !== text(rows))
        throw new ClusterDamage(
          `table ${table} is not what it was in version ${name}, after a rollback to it`,
        );
    }
    if (now.tables.size !== contents.tables.size)
      throw new ClusterDamage(`after a rollback to ${name} there are tables that it does not have`);
  }
}
