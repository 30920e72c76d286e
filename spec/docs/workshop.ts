// A directory in which the documents' commands and programs find what a clone has, and can do no harm to the clone.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { GENRES } from "../../examples/movielens/data.js";
import { generateData } from "../../examples/movielens/generated-data.js";
import { ROOT } from "./documents.js";

export interface Ended {
  readonly code: number | null;
  /** Of stdout and stderr, together. */
  readonly output: string;
}

/** A working directory with the built `dist`, a small `ml-100k`, and `npm` and `embershard` as commands. */
export class Workshop {
  readonly directory = mkdtempSync(join(tmpdir(), "embershard-docs-"));
  readonly #bin = join(this.directory, ".bin");

  constructor() {
    mkdirSync(this.#bin);
    symlinkSync(join(ROOT, "dist"), join(this.directory, "dist"));
    mkdirSync(join(this.directory, "node_modules"));
    symlinkSync(ROOT, join(this.directory, "node_modules", "embershard"));
    this.#addCommand("embershard", join(ROOT, "dist", "lib", "cli", "main.js"));
    this.#addCommand("npm", join(ROOT, "dist", "spec", "docs", "npm.js"));
    writeRatings(join(this.directory, "ml-100k"));
  }

  /** Runs a command line as a shell does. It gets no input. */
  run(command: string, directory = this.directory): Promise<Ended> {
    const path = `${this.#bin}${delimiter}${process.env.PATH}`;
    const child = spawn("sh", ["-c", command], {
      cwd: directory,
      env: { ...process.env, PATH: path, NO_COLOR: "1" },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    return new Promise((resolve) => child.on("close", (code) => resolve({ code, output })));
  }

  close(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }

  #addCommand(name: string, script: string): void {
    writeFileSync(join(this.#bin, name), `#!/bin/sh\nexec "${process.execPath}" "${script}" "$@"\n`, {
      mode: 0o755,
    });
  }
}

/** Generated ratings in the three files that MovieLens 100K consists of: few, so that commands are quick. */
function writeRatings(directory: string): void {
  const { users, items, ratings } = generateData(1, { users: 30, items: 40, ratings: 200 });
  mkdirSync(directory);
  const write = (name: string, rows: readonly (readonly (string | number)[])[], separator: string) =>
    writeFileSync(join(directory, name), `${rows.map((row) => row.join(separator)).join("\n")}\n`);
  const data = [...ratings.stars].map((stars, i) => [
    users[ratings.user[i]].id,
    items[ratings.item[i]].id,
    stars,
    0,
  ]);
  write("u.data", data, "\t");
  write(
    "u.user",
    users.map(({ id, age, gender, occupation }) => [id, age, gender, occupation, "00000"]),
    "|",
  );
  const flags = (genres: readonly string[]) => GENRES.map((genre) => (genres.includes(genre) ? 1 : 0));
  write(
    "u.item",
    items.map(({ id, genres }) => [id, `Item ${id}`, "", "", "", ...flags(genres)]),
    "|",
  );
}
