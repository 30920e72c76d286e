// What is promised of versions of a whole cluster: each is there, whole and of one instant, from its making to its deletion.
import type { VersionInfo } from "../../lib/api/version-types.js";
import type { ReadRow } from "./table-model.js";
import type { VersionPart } from "./version-model.js";
import type { World } from "./world.js";

/** What is read of a version's table; undefined: it has none of that name. */
export type TableReads = ReadonlyMap<bigint, ReadRow> | undefined;

export class VersionLedger {
  readonly #world: World;
  /** By name, what was made and not deleted: what its parts have in common. */
  readonly #settled = new Map<string, string>();
  /** By name: deletions that began or ended, and those that have not ended. */
  readonly #deletions = new Map<string, number>();
  readonly #underWay = new Map<string, number>();

  constructor(world: World) {
    this.#world = world;
  }

  get settled(): ReadonlyMap<string, string> {
    return this.#settled;
  }

  /** Whoever makes a version calls what this gives when it has been told that it is there. */
  making(name: string): () => void {
    const before = this.#deletions.get(name);
    return () => {
      if (this.#deletions.get(name) !== before || (this.#underWay.get(name) ?? 0) > 0) return;
      const whole = this.#whole(name).filter((parts) => parts.every(({ there }) => there));
      if (whole.length === 0) this.#violate(`version ${name} is made, and is not whole`);
      for (const parts of whole) {
        this.#demandOneInstant(parts);
        this.#settled.set(name, parts[0].id);
      }
      this.#world.count("a version is made");
    };
  }

  /** Whoever deletes a version calls what this gives when that is over. What is made meanwhile may be what it meets. */
  deleting(name: string): () => void {
    const note = (underWay: number) => {
      this.#settled.delete(name);
      this.#deletions.set(name, (this.#deletions.get(name) ?? 0) + 1);
      this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + underWay);
    };
    note(1);
    return () => note(-1);
  }

  /** Whoever asks for a rollback calls what this gives when it has been told that it has happened. */
  rollingBack(): (name: string) => void {
    const { models, ticks } = this.#world;
    return (name) => {
      for (const model of models) model.rollbackKnown();
      const ids = new Set(models[0].versions.parts.filter((one) => one.name === name).map(({ id }) => id));
      const possible = [...ids].some((id) => {
        const all = models.map((model) => model.rollbacksSince(ticks, id));
        return all
          .flat()
          .some(({ from }) =>
            all.every((one) => one.some((instant) => instant.from <= from && from < instant.until)),
          );
      });
      if (!possible) this.#violate(`shards were not rolled back to version ${name} at one instant`);
      this.#world.count("a cluster is rolled back");
    };
  }

  /** Whoever lists versions calls what this gives with the list. */
  listing(): (list: readonly VersionInfo[]) => void {
    const before = new Map(this.#settled);
    return (list) => {
      for (const [name, id] of before) {
        if (this.#settled.get(name) !== id) continue;
        const found = list.find((one) => one.name === name);
        if (!found || found.damage !== undefined)
          this.#violate(
            `version ${name} was made, and is ${found ? `damaged: ${found.damage}` : "not listed"}`,
          );
      }
      for (const { name, damage } of list) {
        if (damage !== undefined) this.#world.count("a version is listed as unfinished");
        else if (this.#whole(name).length === 0) this.#violate(`version ${name} is listed, and is not whole`);
      }
    };
  }

  /** Demands that what was read of a version is one of those that had its name. */
  read(name: string, reads: ReadonlyMap<string, TableReads>): void {
    const candidates = this.#whole(name);
    for (const parts of candidates) this.#demandOneInstant(parts);
    if (candidates.some((parts) => [...reads].every(([table, rows]) => this.#agrees(parts, table, rows))))
      this.#world.count("a version is read");
    else this.#violate(`version ${name} does not read as any of the ${candidates.length} that had its name`);
  }

  #agrees(parts: readonly VersionPart[], table: string, rows: TableReads): boolean {
    const { models } = this.#world;
    if (!parts.every(({ numbers }) => [...numbers.values()].includes(table))) return rows === undefined;
    if (rows === undefined) return false;
    return [...rows].every(([key, row]) => {
      const owner = this.#world.ownerOf(table, key);
      return models[owner].readsInPart(parts[owner], table, key, row);
    });
  }

  /** By what they have in common: the parts of those that every shard has, or had, a part of. */
  #whole(name: string): VersionPart[][] {
    const { models } = this.#world;
    const first = models[0].versions.parts.filter((part) => part.name === name);
    return first
      .map(({ id }) =>
        models.flatMap(
          ({ versions }) => versions.parts.find((part) => part.name === name && part.id === id) ?? [],
        ),
      )
      .filter((parts) => parts.length === models.length);
  }

  #demandOneInstant(parts: readonly VersionPart[]): void {
    const from = Math.max(...parts.map((part) => part.from));
    const until = Math.min(...parts.map((part) => part.until));
    if (from >= until)
      this.#violate(
        `the parts of version ${parts[0].name} are of no one instant: what happened ${from}th is in it, and what happened ${until}th is not in a part`,
      );
  }

  #violate(what: string): void {
    this.#world.violate(what);
  }
}
