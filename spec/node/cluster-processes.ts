// Nodes of one cluster file, as processes.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { freePorts } from "./free-ports.js";
import { NodeProcess } from "./node-process.js";

export interface ClusterMember {
  readonly name: string;
  /** Of the control port; shards have those above it. */
  readonly port: number;
  readonly shards: number;
}

/** Nodes that are started, killed and started again, on ports that stay theirs. */
export class ClusterProcesses {
  readonly directory: string;
  readonly members: readonly ClusterMember[];
  readonly #nodes = new Map<string, NodeProcess>();
  readonly #args: readonly string[];

  private constructor(directory: string, members: readonly ClusterMember[], args: readonly string[]) {
    this.directory = directory;
    this.members = members;
    this.#args = args;
  }

  /** Starts so many nodes of so many shards each; `args` are for all of them. */
  static async start(
    directory: string,
    { nodes, shards = 1, args = [] }: { nodes: number; shards?: number; args?: readonly string[] },
  ): Promise<ClusterProcesses> {
    const first = await freePorts(nodes * (shards + 1) - 1);
    const members = Array.from({ length: nodes }, (_, i) => {
      return { name: String.fromCharCode(97 + i), port: first + i * (shards + 1), shards };
    });
    mkdirSync(directory, { recursive: true });
    const file = { nodes: members.map((member) => ({ ...member, host: "127.0.0.1" })) };
    writeFileSync(join(directory, "cluster.json"), JSON.stringify(file));
    const cluster = new ClusterProcesses(directory, members, args);
    try {
      await Promise.all(members.map(({ name }) => cluster.begin(name)));
    } catch (error) {
      await cluster.end();
      throw error;
    }
    return cluster;
  }

  get address(): string {
    return `ember://${this.members.map(({ port }) => `127.0.0.1:${port}`).join(",")}`;
  }

  directoryOf(name: string): string {
    return join(this.directory, name);
  }

  node(name: string): NodeProcess {
    return this.#nodes.get(name)!;
  }

  /** Starts a node that is not running, and waits until it serves. */
  async begin(name: string): Promise<void> {
    const cluster = ["--cluster", join(this.directory, "cluster.json"), "--node", name];
    const node = new NodeProcess([
      "--dir",
      this.directoryOf(name),
      ...cluster,
      "--no-supervise",
      ...this.#args,
    ]);
    this.#nodes.set(name, node);
    await node.started();
  }

  /** Ends a node at once, and waits until it is gone. */
  async kill(name: string): Promise<void> {
    await this.node(name).stop("SIGKILL");
  }

  /** Stops all of them in good order; gives how they ended. */
  stop(): Promise<(number | string)[]> {
    return Promise.all([...this.#nodes.values()].map((node) => node.stop()));
  }

  /** Ends whatever runs. */
  async end(): Promise<void> {
    await Promise.all([...this.#nodes.values()].map((node) => node.stop("SIGKILL")));
  }
}
