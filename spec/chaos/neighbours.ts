// What slow readers and drip-feeding senders cost others: times of small pulls, without them and beside them.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Prng } from "../../lib/base/prng.js";
import { connect, sgd, type Table } from "../../lib/index.js";
import { NodeProcess } from "../node/node-process.js";

const neighboursScript = fileURLToPath(new URL("./neighbours-process.js", import.meta.url));
const rows = 100_000;
const dim = 64;
const keysPerPull = 256;

/** Milliseconds that pulls took. */
export interface Times {
  readonly p50: number;
  readonly p99: number;
  readonly pulls: number;
}

/** The times of each round, and how often a neighbour was cut off. */
export interface NeighbourTally {
  readonly alone: Times[];
  readonly beside: Times[];
  cutOff: number;
}

/** Measures `rounds` times for `ms` without neighbours and `ms` beside eight of them. */
export async function runNeighbours(rounds: number, ms: number): Promise<NeighbourTally> {
  const directory = mkdtempSync(join(tmpdir(), "embershard-neighbours-"));
  const node = new NodeProcess(["--dir", join(directory, "m"), "--listen", "127.0.0.1:0", "--no-supervise"]);
  let neighbours: ChildProcess | undefined;
  try {
    const { connect: address, ports } = await node.started();
    const store = await connect(address, { worker: "measuring" });
    const table = await store.table("items", { dim, optimizer: sgd({ learningRate: 1 }), ack: "memory" });
    await fill(table);
    const tally: NeighbourTally = { alone: [], beside: [], cutOff: 0 };
    await timesOf(table, ms);
    for (let round = 0; round < rounds; round++) {
      tally.alone.push(await timesOf(table, ms));
      neighbours = fork(neighboursScript, [address, ...ports.map(String)]);
      neighbours.on("message", (what) => {
        if (what === "cut off") tally.cutOff++;
      });
      await once(neighbours, "message");
      tally.beside.push(await timesOf(table, ms));
      neighbours.kill("SIGKILL");
      await once(neighbours, "exit");
    }
    await store.close();
    await node.stop();
    return tally;
  } finally {
    neighbours?.kill("SIGKILL");
    node.child.kill("SIGKILL");
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

async function fill(table: Table): Promise<void> {
  for (let first = 0; first < rows; first += 10_000) {
    const keys = BigUint64Array.from({ length: 10_000 }, (_, i) => BigInt(first + i));
    await table.push(keys, new Float32Array(10_000 * dim).fill(1));
  }
}

async function timesOf(table: Table, ms: number): Promise<Times> {
  const random = new Prng(1);
  const into = new Float32Array(keysPerPull * dim);
  const took: number[] = [];
  for (const end = performance.now() + ms; performance.now() < end; ) {
    const keys = BigUint64Array.from({ length: keysPerPull }, () => BigInt(random.below(rows)));
    const begin = performance.now();
    await table.pull(keys, { into });
    took.push(performance.now() - begin);
  }
  took.sort((a, b) => a - b);
  const at = (part: number) => took[Math.floor(part * (took.length - 1))];
  return { p50: at(0.5), p99: at(0.99), pulls: took.length };
}
