import type { ChangeBatch } from "../api/row-batches.js";
import type { StateDiff, VersionInfo } from "../api/version-types.js";
import { versionIsReadOnly } from "../api/version-types.js";
import type { Checkpointing } from "./checkpointing.js";
import type { ShardState } from "./shard-state.js";
import { demandVersion } from "./version.js";
import { versionInfos } from "./version-info.js";
import { type ChangesOptions, changesSince, type DiffOptions, diffVersions } from "./version-reading.js";
import { readVersionBeside } from "./version-recovery.js";

/** The versions of a shard. `demandOpen` throws when it is closed. */
export class ShardVersions {
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  readonly #demandOpen: () => void;

  constructor(state: ShardState, checkpointing: Checkpointing, demandOpen: () => void) {
    this.#state = state;
    this.#checkpointing = checkpointing;
    this.#demandOpen = demandOpen;
  }

  /** All versions, oldest first. */
  list(): VersionInfo[] {
    this.#demandOpen();
    return versionInfos(this.#state);
  }

  /** Deletes a version and what only it refers to. @throws VERSION_NOT_FOUND, IO, READ_ONLY, CLOSED */
  async delete(name: string): Promise<void> {
    this.#demandOpen();
    return this.#checkpointing.deleteVersion(name);
  }

  /** The state of a version, to read from. It needs the shard no more. @throws VERSION_NOT_FOUND, CORRUPT, OUT_OF_MEMORY, IO */
  async read(name: string): Promise<ShardState> {
    this.#demandLive();
    return readVersionBeside(this.#state, demandVersion(this.#state.versions, name));
  }

  /** How two versions differ, or a version and the live state. @throws as diffVersions */
  async diff(from: string, to: string | undefined, options: DiffOptions): Promise<StateDiff> {
    this.#demandLive();
    return diffVersions(this.#state, from, to, options, (how) => this.#checkpointing.holdLive(how));
  }

  /** Rows that were added, changed and removed since a version, batch by batch. @throws as changesSince */
  changes(options: ChangesOptions): AsyncGenerator<ChangeBatch> {
    this.#demandLive();
    return changesSince(this.#state, options, (how) => this.#checkpointing.holdLive(how));
  }

  #demandLive(): void {
    this.#demandOpen();
    if (this.#state.version !== undefined) throw versionIsReadOnly(this.#state.version);
  }
}
