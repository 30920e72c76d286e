import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Subject } from "./subject.js";

/** The temporary directory of a run and the processes it started. Both are gone when it ends, however it ends. */
export class Workspace {
  readonly directory: string;
  readonly #subjects = new Set<Subject>();
  readonly #paths: string[] = [];
  #count = 0;

  constructor(parent: string = tmpdir()) {
    this.directory = mkdtempSync(join(parent, "embershard-bench-"));
    process.on("exit", () => this.remove());
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      process.once(signal, () => process.exit(signal === "SIGINT" ? 130 : 143));
    }
  }

  /** The path of something that does not exist yet. */
  path(name: string): string {
    const path = join(this.directory, `${name}-${this.#count++}`);
    this.#paths.push(path);
    return path;
  }

  adopt(subject: Subject): void {
    this.#subjects.add(subject);
  }

  release(subject: Subject): void {
    this.#subjects.delete(subject);
  }

  /** Ends what still runs and removes the stores, so that a suite finds the machine and the disk as the first one did. */
  clear(): void {
    for (const subject of this.#subjects) subject.kill();
    this.#subjects.clear();
    for (const path of this.#paths) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    this.#paths.length = 0;
  }

  /** Ends what still runs, then removes the directory with all that is in it. */
  remove(): void {
    this.clear();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }
}
