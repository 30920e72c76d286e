import type { ChangeBatch } from "../api/row-batches.js";
import type { StateDiff, VersionInfo } from "../api/version-types.js";
import { versionIsReadOnly } from "../api/version-types.js";
import type { Checkpointing } from "./checkpointing.js";
import type { Line } from "./line.js";
import type { ShardState } from "./shard-state.js";
import { type Companion, planWith } from "./together.js";
import { demandVersion } from "./version.js";
import { versionInfos } from "./version-info.js";
import {
  type ChangesOptions,
  changesSince,
  type DiffOptions,
  diffVersions,
  type HoldLive,
} from "./version-reading.js";
import { readVersionBeside } from "./version-recovery.js";

/** The versions of a shard. `demandOpen` throws when it is closed. */
export class ShardVersions {
  readonly #state: ShardState;
  readonly #checkpointing: Checkpointing;
  readonly #line: Line;
  readonly #demandOpen: () => void;

  constructor(state: ShardState, checkpointing: Checkpointing, line: Line, demandOpen: () => void) {
    this.#state = state;
    this.#checkpointing = checkpointing;
    this.#line = line;
    this.#demandOpen = demandOpen;
  }

  /** All versions, oldest first. */
  list(): VersionInfo[] {
    this.#demandOpen();
    return versionInfos(this.#state);
  }

  /** Deletes a version and what only it refers to; where `cut` is given, only a part of that. @throws VERSION_NOT_FOUND, IO, READ_ONLY, CLOSED */
  async delete(name: string, cut?: string): Promise<void> {
    this.#demandOpen();
    return this.#checkpointing.deleteVersion(name, cut);
  }

  /** The state of a version, to read from. It needs the shard no more. @throws VERSION_NOT_FOUND, CORRUPT, OUT_OF_MEMORY, IO */
  async read(name: string): Promise<ShardState> {
    this.#demandLive();
    return readVersionBeside(this.#state, demandVersion(this.#state.versions, name));
  }

  /** How two versions differ, or a version and the live state. @throws as diffVersions */
  async diff(from: string, to: string | undefined, options: DiffOptions): Promise<StateDiff> {
    this.#demandLive();
    return diffVersions(this.#state, from, to, options, this.#holdLive(options.companion));
  }

  /** Rows that were added, changed and removed since a version, batch by batch. @throws as changesSince */
  changes(options: ChangesOptions): AsyncGenerator<ChangeBatch> {
    this.#demandLive();
    return changesSince(this.#state, options, this.#holdLive(options.companion));
  }

  #holdLive(companion: Companion | undefined): HoldLive {
    return (how) => this.#checkpointing.holdLive(planWith(companion, how, this.#state, this.#line));
  }

  #demandLive(): void {
    this.#demandOpen();
    if (this.#state.version !== undefined) throw versionIsReadOnly(this.#state.version);
  }
}
