// A cluster in memory and its clients, of which nothing is left afterwards.
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { suite, type Test } from "uvu";
import * as assert from "uvu/assert";
import type { ConnectionEvent, MapEvent, RetryEvent } from "../../lib/client/client-events.js";
import { adagrad, type ConnectOptions, type Store, type Table } from "../../lib/index.js";
import { ServedCluster } from "./served-cluster.js";

export const dim = 4;
/** Keys that every shard of a few has some of. */
export const keys = BigUint64Array.from({ length: 200 }, (_, i) => BigInt(i));
export const ones = new Float32Array(keys.length * dim).fill(1);

/** What clients told of themselves. */
export class Told {
  readonly retries: RetryEvent[] = [];
  readonly connections: ConnectionEvent[] = [];
  readonly maps: MapEvent[] = [];
  readonly #listeners: readonly (readonly [string, (message: unknown) => void])[] = [
    ["embershard:client:retry", (message) => this.retries.push(message as RetryEvent)],
    ["embershard:client:connection", (message) => this.connections.push(message as ConnectionEvent)],
    ["embershard:client:map", (message) => this.maps.push(message as MapEvent)],
  ];

  constructor() {
    for (const [name, listener] of this.#listeners) subscribe(name, listener);
  }

  end(): void {
    for (const [name, listener] of this.#listeners) unsubscribe(name, listener);
  }
}

export interface ClientContext {
  cluster: ServedCluster;
  stores: Store[];
  told: Told;
}

export function clientSuite(name: string): Test<ClientContext> {
  const test = suite<ClientContext>(name);
  test.before.each((context) => {
    context.stores = [];
    context.told = new Told();
  });
  test.after.each(async ({ cluster, stores, told }) => {
    told.end();
    await Promise.all(stores.map((store) => store.close()));
    await cluster.stop();
    assert.equal(cluster.failures, []);
  });
  return test;
}

/** A node of so many shards. */
export async function served(
  context: ClientContext,
  shards: number,
  settings: Parameters<typeof ServedCluster.open>[2] = {},
): Promise<ServedCluster> {
  context.cluster = await ServedCluster.open(shards, {}, settings);
  return context.cluster;
}

/** A client, and a table that all have. */
export async function client(
  { cluster, stores }: ClientContext,
  options: ConnectOptions = {},
): Promise<{ store: Store; table: Table }> {
  const store = await cluster.connect(options);
  stores.push(store);
  const table = await store.table("items", { dim, optimizer: adagrad({ learningRate: 0.1 }), ack: "os" });
  return { store, table };
}

/** Lets turns of the event loop pass until something is so. */
export async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}

/** The error that a call ends with. */
export async function errorOf<E extends Error = Error>(call: Promise<unknown>): Promise<E> {
  try {
    await call;
  } catch (error) {
    return error as E;
  }
  throw new Error("the call did not fail");
}
