// Nodes as processes, as a user runs them.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { NodeStatus } from "../../lib/node/node-status.js";
import { COMMAND } from "../cli/run-command.js";

/** The log line that says that a node serves. */
export interface Started {
  readonly event: "started";
  readonly pid: number;
  readonly listen: string;
  readonly connect: string;
  readonly ports: readonly number[];
  readonly replayed: number;
}

/** `embershard serve --json`, and what it says. */
export class NodeProcess {
  readonly child: ChildProcess;
  readonly lines: { readonly event: string; readonly [field: string]: unknown }[] = [];
  err = "";
  readonly #seen: (() => void)[] = [];

  constructor(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
    this.child = spawn(process.execPath, [COMMAND, "serve", "--json", ...args], {
      env: { ...process.env, ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let rest = "";
    this.child.stdout!.on("data", (data) => {
      rest += data;
      const lines = rest.split("\n");
      rest = lines.pop()!;
      for (const line of lines) this.lines.push(JSON.parse(line));
      for (const seen of this.#seen.splice(0)) seen();
    });
    this.child.stderr!.on("data", (data) => (this.err += data));
    this.child.on("exit", () => {
      for (const seen of this.#seen.splice(0)) seen();
    });
  }

  /** Waits for the nth line that is so; fails when the process ends before. */
  async line(event: string, nth = 1): Promise<NodeProcess["lines"][number]> {
    for (;;) {
      const found = this.lines.filter((line) => line.event === event)[nth - 1];
      if (found) return found;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`the node ended with ${this.child.exitCode ?? this.child.signalCode}: ${this.err}`);
      await new Promise<void>((resolve) => this.#seen.push(resolve));
    }
  }

  async started(nth = 1): Promise<Started> {
    return (await this.line("started", nth)) as unknown as Started;
  }

  /** Tells it to stop, by several signals at once if so many are given; gives how it ended. */
  async stop(...signals: readonly NodeJS.Signals[]): Promise<number | string> {
    for (const signal of signals.length > 0 ? signals : (["SIGTERM"] as const)) this.child.kill(signal);
    return this.ended();
  }

  async ended(): Promise<number | string> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, "exit");
    return this.child.exitCode ?? this.child.signalCode!;
  }
}

/** What a node says at its control port. */
export async function get(
  listen: string,
  path: string,
): Promise<{ status: number; body: NodeStatus & { ready?: boolean } }> {
  const response = await fetch(`http://${listen}${path}`, { headers: { connection: "close" } });
  return { status: response.status, body: (await response.json()) as NodeStatus };
}
