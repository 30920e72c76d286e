import type { TableOptions } from "../../lib/index.js";

/** What a node is started with. */
export interface NodeProcessSettings {
  /** A directory that does not exist yet. */
  readonly directory: string;
  readonly shards: number;
  readonly host?: string;
}

/** A table of the client's. */
export interface WireTable extends Pick<TableOptions, "storage"> {
  readonly name: string;
  readonly dim: number;
  readonly rows: number;
  readonly level: "memory" | "os";
}

/** What a client is started with. */
export interface ClientSettings {
  /** ember://HOST:PORT */
  readonly address: string;
  /** Those of other names are made and filled, if they are not there. */
  readonly tables: readonly WireTable[];
  readonly batch: number;
  readonly seed: number;
  /** How weights come over the wire; "f32" unless given. */
  readonly transfer?: "f32" | "f16";
  /** Whether it may ask for news without sleeping; "auto" unless given. */
  readonly polling?: "auto" | "never";
}
