// Nodes as processes, clients of them, and all of it gone afterwards.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite, type Test } from "uvu";
import { connect, type Store, sgd, type Table } from "../../lib/index.js";
import { NodeProcess } from "./node-process.js";

const optimizer = sgd({ learningRate: 1 });
/** Keys that are pushed to. */
export const n = 256;
export const keys = BigUint64Array.from({ length: n }, (_, i) => BigInt(i));

export interface Context {
  directory: string;
  nodes: NodeProcess[];
  stores: Store[];
}
/** A suite of tests that each have a directory of their own. */
export function nodeSuite(name: string): Test<Context> {
  const test = suite<Context>(name);
  test.before.each((context) => {
    context.directory = mkdtempSync(join(tmpdir(), "load-spec-"));
    context.nodes = [];
    context.stores = [];
  });
  test.after.each(async ({ directory, nodes, stores }) => {
    for (const node of nodes) {
      const started = node.lines.filter(({ event }) => event === "started").at(-1);
      node.child.kill("SIGKILL");
      await node.ended();
      // A child of a supervisor that is gone stops by itself; not when it is wanted here.
      if (started) killIfThere(started.pid as number);
    }
    await Promise.all(stores.map((store) => store.close().catch(() => undefined)));
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  });
  return test;
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** Starts a node; resolves when it serves. */
export async function serve({ nodes }: Context, args: readonly string[]): Promise<NodeProcess> {
  const node = new NodeProcess(args);
  nodes.push(node);
  await node.started();
  return node;
}

/** A client that is a worker, with its table. */
export async function worker(
  { stores }: Context,
  address: string,
  name: string,
): Promise<{ store: Store; table: Table }> {
  const store = await connect(address, { worker: name, deadlineMs: 60_000 });
  stores.push(store);
  return { store, table: await store.table("items", { dim: 2, optimizer, ack: "os" }) };
}

/** Pushes 1 to every key again and again until it is told to end; gives how often that was acknowledged. */
export function pushing(table: Table): { count(): number; stop(): Promise<number> } {
  const gradients = new Float32Array(2 * n).fill(1);
  let acknowledged = 0;
  let stopped = false;
  const done = (async () => {
    while (!stopped) {
      await table.push(keys, gradients);
      acknowledged++;
    }
    return acknowledged;
  })();
  done.catch(() => undefined);
  return {
    count: () => acknowledged,
    stop() {
      stopped = true;
      return done;
    },
  };
}
