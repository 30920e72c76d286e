import type { Figure } from "./figure.js";
import type { BenchOptions } from "./options.js";
import type { Workspace } from "./workspace.js";

/** What a suite is given. */
export interface SuiteContext {
  readonly options: BenchOptions;
  readonly workspace: Workspace;
  /** Versions of what took part, by name; suites add to it. */
  readonly versions: Record<string, string>;
  /** Tells the reader of the report something once, e.g. that a peer is left out and why. */
  note(text: string): void;
}

export interface Suite {
  readonly name: string;
  /** What it measures, in a few words. */
  readonly about: string;
  run(context: SuiteContext): Promise<Figure[]>;
}
