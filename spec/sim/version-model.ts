// Which versions a shard must have, and what they are of: by what it writes to its page store.
import { decodeManifest, type Manifest, manifestKey } from "../../lib/shard/manifest.js";
import type { Shard } from "../../lib/shard/shard.js";
import { encodeVersionKey, type KnownVersion } from "../../lib/shard/version.js";
import type { PageStore } from "../../lib/store/page-store.js";

/** A shard's part of a version. */
export interface VersionPart {
  readonly name: string;
  /** What its parts have in common. */
  readonly id: string;
  readonly generation: number;
  /** The moment that it is of: see Stretch. */
  readonly at: number;
  /** Names of tables, by number. */
  readonly numbers: ReadonlyMap<number, string>;
  /** What happened in the cluster last before it in this shard, and next after it. */
  readonly from: number;
  until: number;
  /** In the page store, not, or nobody knows until it is opened again. */
  there: boolean | undefined;
}

/** A rollback whose manifest is being written. */
export interface RollbackPlan {
  /** All that are the same, with different names: which of them is meant cannot be seen. */
  readonly parts: readonly VersionPart[];
  readonly generation: number;
}

/** What the model of a shard says, and is told. */
export interface VersionModelOwner {
  /** The moment now, and what happened in the cluster up to it and after it. */
  moment(lsn: number): { readonly at: number; readonly from: number; readonly until: number };
  /** It has become the version. */
  rolledBack(plan: RollbackPlan): void;
  violate(what: string): void;
}

export class VersionModel {
  /** All that there ever were, as they were written. */
  readonly parts: VersionPart[] = [];
  readonly #owner: VersionModelOwner;
  #plan: RollbackPlan | undefined;
  #state: Shard["state"] | undefined;
  #alive: () => boolean = () => false;

  constructor(owner: VersionModelOwner) {
    this.#owner = owner;
  }

  /** Something happens in the shard: parts before it end there. */
  happened(tick: number): void {
    for (const part of this.parts) part.until = Math.min(part.until, tick);
  }

  /** A shard has been opened, which is followed from now on while `alive`. Tells of a rollback that had happened. */
  opened({ state }: Shard, alive: () => boolean): void {
    const plan = this.#plan;
    this.#plan = undefined;
    if (plan && state.committed?.generation === plan.generation) this.#owner.rolledBack(plan);
    for (const [name, found] of state.versions) this.#demandKnown(name, found);
    for (const part of this.parts) {
      const found = state.versions.get(part.name);
      const there = found !== undefined && "manifest" in found && isPart(part, found.manifest);
      if (part.there !== undefined && part.there !== there)
        this.#owner.violate(`version ${part.name} ${part.id} is ${there ? "" : "not "}there any more`);
      part.there = there;
    }
    this.#alive = alive;
    this.#follow(state.pages);
    this.#state = state;
  }

  #demandKnown(name: string, found: KnownVersion): void {
    if ("damage" in found) this.#owner.violate(`version ${name} is damaged: ${found.damage.message}`);
    else if (!this.#partOf(found.manifest))
      this.#owner.violate(`it has a version ${name} that was never made`);
  }

  #follow(pages: PageStore): void {
    if (this.#state) return;
    const batch = pages.batch.bind(pages);
    pages.batch = () => {
      const made = batch();
      const alive = this.#alive;
      const begun: Beginning[] = [];
      return {
        put: (key, value) => {
          begun.push(this.#putting(key, value));
          made.put(key, value);
        },
        del: (key) => {
          if (isVersionKey(key)) begun.push(this.#deleting(key));
          made.del(key);
        },
        write: async () => {
          const done = begun.map((begin) => begin());
          await made.write();
          if (alive()) for (const end of done) end();
        },
      };
    };
  }

  #putting(key: Uint8Array, value: Uint8Array): Beginning {
    if (isVersionKey(key)) return this.#making(decodeManifest(value));
    // Nothing else holds a shard while it writes a manifest.
    if (key.length === 1 && key[0] === manifestKey[0] && this.#state!.held)
      return this.#goingBack(decodeManifest(value));
    return nothing;
  }

  #making(manifest: Manifest): Beginning {
    const { lsn, generation, tables } = manifest;
    const part: VersionPart = {
      name: manifest.version!.name,
      id: idOf(manifest),
      generation,
      numbers: new Map(tables.map((table) => [table.number, table.name])),
      ...this.#owner.moment(lsn),
      there: undefined,
    };
    return () => {
      this.parts.push(part);
      return () => {
        part.there = true;
      };
    };
  }

  #deleting(key: Uint8Array): Beginning {
    const going = this.parts.filter(
      ({ name, there }) => there !== false && Buffer.from(encodeVersionKey(name)).equals(key),
    );
    return () => {
      for (const part of going) part.there = undefined;
      return () => {
        for (const part of going) part.there = false;
      };
    };
  }

  #goingBack({ generation, tables, pages }: Manifest): Beginning {
    const text = JSON.stringify([tables, pages]);
    const parts = [...this.#state!.versions.values()].flatMap((one) =>
      "manifest" in one && JSON.stringify([one.manifest.tables, one.manifest.pages]) === text
        ? (this.#partOf(one.manifest) ?? [])
        : [],
    );
    if (parts.length === 0) {
      this.#owner.violate("it goes back to what is no version");
      return nothing;
    }
    const plan = { parts, generation };
    return () => {
      this.#plan = plan;
      return () => {
        this.#plan = undefined;
        this.#owner.rolledBack(plan);
      };
    };
  }

  #partOf(manifest: Manifest): VersionPart | undefined {
    return this.parts.find((part) => isPart(part, manifest));
  }
}

function idOf({ version, generation }: Manifest): string {
  return version!.cut ?? `generation ${generation}`;
}

/** The number of a generation is given again where none of it is left. */
function isPart({ name, id, generation }: VersionPart, manifest: Manifest): boolean {
  return name === manifest.version!.name && id === idOf(manifest) && generation === manifest.generation;
}

function isVersionKey(key: Uint8Array): boolean {
  return key[0] === 2 && key.length > 1;
}

/** What is to be done when a batch begins to be written, and gives what is when it is written. */
type Beginning = () => () => void;
const nothing: Beginning = () => () => {};
