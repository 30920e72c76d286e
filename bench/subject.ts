import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { Reply } from "./subjects/line-server.js";
import type { Workspace } from "./workspace.js";

/** One side of a comparison, in a process of its own: it waits without using the processor until it is asked. */
export class Subject {
  readonly name: string;
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #workspace: Workspace;
  readonly #ended: Promise<void>;
  #errors = "";
  #ready: Reply = {};

  private constructor(workspace: Workspace, name: string, command: string, args: readonly string[]) {
    this.name = name;
    this.#workspace = workspace;
    this.#child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#child.stderr!.setEncoding("utf8").on("data", (text: string) => {
      this.#errors = (this.#errors + text).slice(-2000);
    });
    // A subject that ended is told apart by its missing answer.
    this.#child.stdin!.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
    this.#ended = new Promise((resolve) => {
      this.#child.on("close", () => resolve());
      this.#child.on("error", (error) => {
        this.#errors += error.message;
        resolve();
      });
    });
    workspace.adopt(this);
  }

  /** Starts a program and waits until it says that it is ready. Throws an Error with what it wrote to stderr. */
  static async start(
    workspace: Workspace,
    name: string,
    command: string,
    args: readonly string[],
  ): Promise<Subject> {
    const subject = new Subject(workspace, name, command, args);
    subject.#ready = await subject.#answer();
    return subject;
  }

  /** Starts `dist/bench/subjects/<file>.js` with its settings, by way of a command where one is given. */
  static async startNode(
    workspace: Workspace,
    name: string,
    file: string,
    settings: object,
    flags: readonly string[] = [],
    by: readonly string[] = [],
  ): Promise<Subject> {
    const path = fileURLToPath(new URL(`./subjects/${file}.js`, import.meta.url));
    const [command, ...args] = [...by, process.execPath, ...flags, path, JSON.stringify(settings)];
    return Subject.start(workspace, name, command, args);
  }

  /** Starts a program that serves others and says nothing. */
  static startServer(workspace: Workspace, name: string, command: string, args: readonly string[]): Subject {
    return new Subject(workspace, name, command, args);
  }

  /** What it said about itself when it was ready. */
  get ready(): Reply {
    return this.#ready;
  }

  /** Sends a line of words and waits for the answer. */
  async ask(...words: readonly (string | number)[]): Promise<Reply> {
    this.#child.stdin!.write(`${words.join(" ")}\n`);
    return this.#answer();
  }

  /** Rows per second of one request that answers with `rows` and `ns`. */
  async rate(...words: readonly (string | number)[]): Promise<number> {
    const { rows, ns } = await this.ask(...words);
    return (Number(rows) / Number(ns)) * 1e9;
  }

  /** Closes its input and waits for its end. */
  async stop(): Promise<void> {
    this.#child.stdin!.end();
    await this.#ended;
    this.#workspace.release(this);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async #answer(): Promise<Reply> {
    const { value, done } = await this.#lines.next();
    if (!done) return JSON.parse(value) as Reply;
    await this.#ended;
    this.#workspace.release(this);
    throw new Error(`${this.name} ended: ${this.#errors.trim() || `exit code ${this.#child.exitCode}`}`);
  }
}
