// The story's processes. None of them outlives the one that started it.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import type { WorkerPlan, WorkerProgress, WorkerResult } from "./story.js";

const command = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));
const worker = fileURLToPath(new URL("./worker.js", import.meta.url));

/** `embershard serve`, without the parent that would start it again when it is killed: here the story does that. */
export class NodeProcess {
  readonly name: string;
  readonly address: string;
  state: "starting" | "ready" | "killed" = "starting";
  readonly #args: readonly string[];
  readonly #children: Children;
  #child: ChildProcess | undefined;

  constructor(
    children: Children,
    { name, address, dir, cluster }: { name: string; address: string; dir: string; cluster: string },
  ) {
    this.name = name;
    this.address = address;
    this.#children = children;
    this.#args = ["serve", "--json", "--no-supervise", "--dir", dir, "--cluster", cluster, "--node", name];
  }

  /** Starts it, and waits until it serves. Gives the records of its log that it replayed. */
  async start(): Promise<number> {
    this.state = "starting";
    const child = this.#children.spawn(`node ${this.name}`, [command, ...this.#args]);
    this.#child = child;
    const lines = createInterface({ input: child.stdout! });
    const replayed = await new Promise<number | undefined>((resolve) => {
      lines.on("line", (line) => {
        const said = JSON.parse(line) as { event: string; replayed: number };
        if (said.event === "started") resolve(said.replayed);
      });
      lines.once("close", () => resolve(undefined));
    });
    if (replayed === undefined) throw await this.#children.failure(child);
    this.state = "ready";
    return replayed;
  }

  async kill(): Promise<void> {
    this.state = "killed";
    await this.#children.end(this.#child!, "SIGKILL");
  }

  /** Lets it finish, checkpoint and end. */
  async stop(): Promise<void> {
    if ((await this.#children.end(this.#child!, "SIGTERM")) !== 0)
      throw await this.#children.failure(this.#child!);
  }
}

/** A worker at its work. Resolves to what it did. */
export async function workerProcess(
  children: Children,
  plan: WorkerPlan,
  onProgress: (progress: WorkerProgress) => void,
): Promise<WorkerResult> {
  const child = children.spawn(plan.name, [worker, JSON.stringify(plan)]);
  let result: WorkerResult | undefined;
  child.on("message", (message: WorkerProgress | WorkerResult) => {
    if (message.kind === "done") result = message;
    else onProgress(message);
  });
  // Its last word may be heard after its end: not after that of the channel.
  await once(child, "disconnect");
  if (!result) throw await children.failure(child);
  return result;
}

/** Children of this process, and what they said when they failed. */
export class Children {
  readonly #running = new Map<ChildProcess, { readonly name: string; err: string }>();
  readonly #said = new WeakMap<ChildProcess, { readonly name: string; err: string }>();
  #over = false;

  spawn(name: string, args: readonly string[]): ChildProcess {
    if (this.#over) throw new Error(`${name} is not started any more: all are ended`);
    const child = spawn(process.execPath, [...args], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      serialization: "advanced",
      // In a group of its own: a terminal's Ctrl-C is for the story, which ends them.
      detached: true,
    });
    const said = { name, err: "" };
    this.#running.set(child, said);
    this.#said.set(child, said);
    child.stderr!.on("data", (text) => {
      said.err += text;
    });
    child.once("exit", () => this.#running.delete(child));
    return child;
  }

  /** Sends a signal, and waits for the end. Gives exit code or signal. */
  async end(child: ChildProcess, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    child.kill(signal);
    await this.#ended(child);
    return child.exitCode ?? child.signalCode!;
  }

  /** Kills all that are left, at once. */
  killAll(): void {
    for (const child of this.#running.keys()) child.kill("SIGKILL");
  }

  /** The same, and waits until they are gone. No more are started. */
  async endAll(): Promise<void> {
    this.#over = true;
    await Promise.all([...this.#running.keys()].map((child) => this.end(child, "SIGKILL")));
  }

  /** Waits for the end of a child that failed, and gives what to say of it. */
  async failure(child: ChildProcess): Promise<Error> {
    await this.#ended(child);
    const { name, err } = this.#said.get(child)!;
    return new Error(
      `${name} ended with ${child.exitCode ?? child.signalCode}: ${err.trim() || "it said nothing"}`,
    );
  }

  async #ended(child: ChildProcess): Promise<void> {
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
}

/** The first ports of `count` pairs that nobody listens on. */
export async function freePortPairs(count: number): Promise<number[]> {
  const found: number[] = [];
  for (let port = 10_000 + 2 * Math.floor(Math.random() * 5000); found.length < count; port += 2) {
    if (port > 32_000) throw new Error(`found no ${count} pairs of free ports from 10000 to 32000`);
    if ((await isFree(port)) && (await isFree(port + 1))) found.push(port);
  }
  return found;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
}
