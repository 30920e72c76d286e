// Makes the directory of a store, shard by shard.
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { beginBirth, endBirth, type Identity } from "../directory/identity.js";
import { ShardBuilder, type ShardPlan } from "./shard-builder.js";

/** A store that is being made. Until `finish` it is none: who opens it begins anew. */
export class StoreBuilder {
  readonly directory: string;
  readonly #identity: Identity;

  private constructor(directory: string, identity: Identity) {
    this.directory = directory;
    this.#identity = identity;
  }

  /** Begins in an empty or missing directory, or in what a builder that was killed left. @throws NOT_A_STORE, IO */
  static async begin(directory: string, identity: Identity): Promise<StoreBuilder> {
    const names: string[] = await readdir(directory).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return [];
      throw new EmbershardError("IO", `${directory} cannot be read: ${error.message}`, { cause: error });
    });
    if (names.length > 0 && !names.includes("creating"))
      throw new EmbershardError(
        "NOT_A_STORE",
        `${directory} is not empty: choose an empty or a new directory`,
      );
    if (names.includes("store"))
      throw new EmbershardError(
        "NOT_A_STORE",
        `${directory} holds a store: choose an empty or a new directory`,
      );
    await beginBirth(directory);
    await rm(join(directory, "shards"), { recursive: true, force: true });
    return new StoreBuilder(directory, identity);
  }

  /** Makes a shard of what `fill` gives it; closed afterwards. @throws IO, and what `fill` throws */
  async shard(plan: ShardPlan, fill: (shard: ShardBuilder) => Promise<void>): Promise<void> {
    const shard = await ShardBuilder.begin(this.directory, this.#identity, plan);
    try {
      await fill(shard);
    } catch (error) {
      await shard.abandon();
      throw error;
    }
    await shard.finish();
  }

  /** Makes the directory a store. Demands that all of its shards were made. */
  async finish(): Promise<void> {
    await endBirth(this.directory, this.#identity);
  }

  /** Gives up. What was made is removed with the directory's `shards`. */
  async abandon(): Promise<void> {
    await rm(join(this.directory, "shards"), { recursive: true, force: true });
    await rm(join(this.directory, "creating"), { force: true });
  }
}
