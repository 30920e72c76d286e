// Versions that connections read: each is in memory once, for as long as somebody reads it.
import { EmbershardError } from "../base/errors.js";
import { Shard } from "../shard/shard.js";
import { demandVersion, versionBytes } from "../shard/version.js";
import { ServedTables } from "./served-tables.js";

/** Versions that one connection may have open. */
const mostOpen = 64;

/** A version in memory. */
export interface OpenVersion {
  readonly name: string;
  readonly generation: number;
  readonly shard: Shard;
  readonly tables: ServedTables;
}

interface Shared {
  /** What it takes, as long as nobody knows better. */
  readonly bytes: number;
  readonly opening: Promise<OpenVersion>;
  version: OpenVersion | undefined;
  readers: number;
}

/** The versions of a shard that are in memory. */
export class OpenVersions {
  readonly #shard: Shard;
  readonly #shared = new Map<string, Shared>();

  constructor(shard: Shard) {
    this.#shard = shard;
  }

  /** Bytes of memory that they take. */
  usedBytes(): number {
    let bytes = 0;
    for (const { version, bytes: guessed } of this.#shared.values())
      bytes += version ? version.shard.state.arenas.usedBytes() : guessed;
    return bytes;
  }

  /**
   * Has a version in memory until `release` is called. `demandMemory` is asked for the bytes of one that has to be read first.
   *
   * @throws VERSION_NOT_FOUND, OVERLOADED, CORRUPT, OUT_OF_MEMORY, IO
   */
  async open(
    name: string,
    demandMemory: (bytes: number) => void,
  ): Promise<{ readonly version: OpenVersion; readonly release: () => Promise<void> }> {
    const found = demandVersion(this.#shard.state.versions, name);
    const { generation } = found.manifest;
    const key = `${generation} ${name}`;
    let shared = this.#shared.get(key);
    if (!shared) {
      const bytes = versionBytes(found);
      demandMemory(bytes);
      shared = { bytes, opening: this.#read(name, generation), version: undefined, readers: 0 };
      this.#shared.set(key, shared);
    }
    const own = shared;
    own.readers++;
    const release = async () => {
      if (--own.readers > 0) return;
      this.#shared.delete(key);
      await own.version?.shard.close();
    };
    try {
      own.version = await own.opening;
      return { version: own.version, release };
    } catch (error) {
      await release();
      throw error;
    }
  }

  async #read(name: string, generation: number): Promise<OpenVersion> {
    const shard = Shard.ofVersion(await this.#shard.versions.read(name));
    return { name, generation, shard, tables: new ServedTables(shard) };
  }
}

interface Reading {
  readonly version: OpenVersion;
  readonly release: () => Promise<void>;
}

/** The versions that one connection reads, by the numbers that it knows them by. */
export class ConnectionVersions {
  readonly #open = new Map<number, Reading>();
  #last = 0;

  /** @throws OVERLOADED */
  demandRoom(): void {
    if (this.#open.size >= mostOpen)
      throw new EmbershardError(
        "OVERLOADED",
        `the connection has ${mostOpen} versions open: close some, or use another connection`,
      );
  }

  add(reading: Reading): number {
    this.#open.set(++this.#last, reading);
    return this.#last;
  }

  /** @throws INVALID_ARGUMENT */
  demand(number: number): OpenVersion {
    return this.#demand(number).version;
  }

  /** Lets one go. @throws INVALID_ARGUMENT */
  async closeOne(number: number): Promise<void> {
    const { release } = this.#demand(number);
    this.#open.delete(number);
    await release();
  }

  #demand(number: number): Reading {
    const reading = this.#open.get(number);
    if (reading) return reading;
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `no version is open as number ${number} on this connection: open it`,
    );
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map(({ release }) => release()));
  }
}
