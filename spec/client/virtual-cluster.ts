// A cluster on virtual time, and a client of it whose pushes the models of the shards expect.
import * as assert from "uvu/assert";
import type { Ack } from "../../lib/api/table-definition.js";
import { connectIn } from "../../lib/client/open-client.js";
import type { ConnectOptions, Store, Table } from "../../lib/index.js";
import type { SimProcess } from "../sim/process.js";
import { SimNode } from "../sim/sim-node.js";
import { nameOfWrite, type SimWrite } from "../sim/sim-write.js";
import { World } from "../sim/world.js";

export const keys = BigUint64Array.of(1n, 2n, 3n, 4n, 5n);
export const ones = new Float32Array(2 * keys.length).fill(1);

/** A cluster, and a process that may connect to it. */
export function cluster() {
  const world = new World({ seed: 2 });
  const nodes = world.names.map((name) => new SimNode(world, name));
  const process = world.process("w");
  sequence = 0;
  return { world, nodes, process };
}

export const connected = (world: World, process: SimProcess, options: ConnectOptions = {}): Promise<Store> =>
  connectIn(
    {
      transport: process.connecting,
      clock: process.clock,
      random: () => process.random.unit(),
      uniqueName: () => "w",
    },
    world.address,
    { worker: "w", session: 1n, ...options },
  );

let sequence = 0;

/** Pushes 1 to all keys, and has the models of the shards expect it. */
export function push(world: World, table: Table, ack: Ack = "os"): Promise<void> {
  const write: SimWrite = {
    worker: "w",
    session: 1n,
    sequence: ++sequence,
    kind: "push",
    parts: [{ table: "sums", keys, values: ones }],
    step: 1,
    ack,
  };
  world.writes.set(nameOfWrite(write), write);
  return table.push(keys, ones, { step: 1, ack });
}

/** Lets time pass until it is settled. Gives what it resolves with, or the error, and how long that took. */
export async function outcome<T>(
  world: World,
  promise: Promise<T>,
): Promise<{ value: T | Error; ms: number }> {
  const begin = world.clock.now();
  let settled: { value: T | Error } | undefined;
  promise.then(
    (value) => {
      settled = { value };
    },
    (value) => {
      settled = { value };
    },
  );
  await world.clock.until(() => settled !== undefined);
  assert.is(world.violation, undefined);
  return { ...settled!, ms: world.clock.now() - begin };
}

export async function openTable(world: World, process: SimProcess, options?: ConnectOptions): Promise<Table> {
  const { value } = await outcome(
    world,
    connected(world, process, options).then((store) => store.table("sums", world.tables.sums)),
  );
  if (value instanceof Error) throw value;
  return value;
}
