import type { ShapedLink } from "../peers/shaped-link.js";
import { Subject } from "../subject.js";
import type { ClientSettings, NodeProcessSettings, WireTable } from "../subjects/net-settings.js";
import type { SuiteContext } from "../suite.js";

/** Rows of a table that is served, at most. */
export const WIRE_ROWS = 1_000_000;

/** A node and clients of it, each a process. */
export interface Wire {
  readonly node: Subject;
  readonly client: Subject;
  /** Starts another client of the same tables. */
  another(seed: number, changes?: Partial<ClientSettings>): Promise<Subject>;
  stop(): Promise<void>;
}

/** A table of so many floats that is not logged; named "rows-16", say. */
export function wireTable(
  { options }: SuiteContext,
  dim: number,
  changes: Partial<WireTable> = {},
): WireTable {
  return {
    name: `rows-${dim}`,
    dim,
    rows: Math.min(options.rows, WIRE_ROWS),
    level: "memory",
    ...changes,
  };
}

/** Starts a node, on loopback unless at the other end of a link, and a client that fills its tables. */
export async function startWire(
  { options, workspace }: SuiteContext,
  shards: number,
  tables: readonly WireTable[],
  link?: ShapedLink,
): Promise<Wire> {
  const settings: NodeProcessSettings = {
    directory: workspace.path("node"),
    shards,
    ...(link && { host: link.host }),
  };
  const node = await Subject.startNode(workspace, "node", "net-node", settings, [], link?.inside);
  const clients: Subject[] = [];
  const start = async (seed: number, changes: Partial<ClientSettings> = {}) => {
    const client: ClientSettings = {
      address: String(node.ready.address),
      tables,
      batch: options.batch,
      seed,
      ...changes,
    };
    clients.push(await Subject.startNode(workspace, "Embershard", "net-rows", client));
    return clients[clients.length - 1];
  };
  return {
    node,
    client: await start(11),
    another: start,
    async stop() {
      await Promise.all(clients.map((client) => client.stop()));
      await node.stop();
    },
  };
}

/**
 * So many rounds until the engine has compiled what client and node do once for each batch, too: five seconds, in which pushes of
 * dimension 16 become a fifth faster.
 */
const WARM_ROUNDS = 25;
/** So many for who has done the like before. */
export const FEW_ROUNDS = 5;

/** Has a client and its node do for a while what is then measured. Training runs for hours: its first seconds say little. */
export async function warmUp(
  client: Subject,
  operation: "pull" | "push",
  table: string,
  ms: number,
  rounds = WARM_ROUNDS,
): Promise<void> {
  await client.rate(operation, table, rounds * ms, 2);
}

/** Batches at a time for which a client that has been warmed up is fastest. */
export async function bestAtOnce(
  client: Subject,
  operation: "pull" | "push",
  table: string,
  ms: number,
  rounds = WARM_ROUNDS,
): Promise<number> {
  await warmUp(client, operation, table, ms, rounds);
  const best = { atOnce: 1, rate: 0 };
  for (const atOnce of [1, 2, 3, 4, 1, 2, 3, 4]) {
    const rate = await client.rate(operation, table, ms, atOnce);
    if (rate > best.rate) Object.assign(best, { atOnce, rate });
  }
  return best.atOnce;
}

/** Bytes of messages, in both directions, that a row takes which a client pulls. */
export async function bytesOfRow(node: Subject, client: Subject, table: string, ms: number): Promise<number> {
  const before = await node.ask("processor");
  const { rows } = await client.ask("pull", table, ms, 1);
  const after = await node.ask("processor");
  return (Number(after.bytes) - Number(before.bytes)) / Number(rows);
}

/** Nanoseconds of processor time, of client and node together, that a row takes. */
export async function processorTime(
  { node, client }: Wire,
  ...words: readonly (string | number)[]
): Promise<{ readonly ns: number; readonly rows: number }> {
  const before = await node.ask("processor");
  const { rows, cpu } = await client.ask(...words);
  const after = await node.ask("processor");
  const ofNode = Number(after.user) + Number(after.system) - Number(before.user) - Number(before.system);
  return { rows: Number(rows), ns: (1000 * (Number(cpu) + ofNode)) / Number(rows) };
}
