// A directory in which the documents' commands and programs find what a clone has, and can do no harm to the clone.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";
import { GENRES } from "../../examples/movielens/data.js";
import { generateData } from "../../examples/movielens/generated-data.js";
import { runHere } from "../cli/run-command.js";
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

  /**
   * Runs a command line as a shell does. It gets no input. One that is nothing but `embershard` and words is run in this
   * process, which has loaded already what each process would load again; those with more to them go to a shell.
   */
  async run(command: string): Promise<Ended> {
    const words = wordsOf(command);
    // One seed is enough to see that the candidates are tried.
    if (words?.[0] !== "embershard") return this.#runInShell(command.replace("ml-100k 1 2 3", "ml-100k 1"));
    const { code, out, err } = await this.#inside(this.directory, () => runHere(shortened(words.slice(1))));
    return { code, output: `${err}${out}` };
  }

  /** Runs a program, compiled, in a directory: in this process too. Gives what it threw. */
  async runModule(file: string, directory: string): Promise<unknown> {
    const { log } = console;
    console.log = () => {};
    try {
      return await this.#inside(directory, () =>
        import(pathToFileURL(file).href).then(
          () => undefined,
          (error: unknown) => error ?? "nothing",
        ),
      );
    } finally {
      console.log = log;
    }
  }

  async #inside<T>(directory: string, work: () => Promise<T>): Promise<T> {
    const before = process.cwd();
    process.chdir(directory);
    try {
      return await work();
    } finally {
      process.chdir(before);
    }
  }

  #runInShell(command: string): Promise<Ended> {
    const path = `${this.#bin}${delimiter}${process.env.PATH}`;
    const child = spawn("sh", ["-c", command], {
      cwd: this.directory,
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

/** The words of a command line, or nothing when a shell has more to do than to part them. */
function wordsOf(command: string): string[] | undefined {
  if (!/^([\s\w./:,=@+-]|"[^"$`\\]*")*$/.test(command)) return undefined;
  return (command.match(/"[^"]*"|[^\s"]+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

/** The demo trains for one epoch unless the document says for how many: that it works shows after one. */
function shortened(args: readonly string[]): readonly string[] {
  return args[0] === "demo" && !args.includes("--epochs") ? [...args, "--epochs", "1"] : args;
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
