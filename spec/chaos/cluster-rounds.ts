// Kills nodes and workers of a cluster under load, and compares what it then holds with oracles.
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Prng } from "../../lib/base/prng.js";
import { connect } from "../../lib/index.js";
import { ClusterProcesses } from "../node/cluster-processes.js";
import { demandCluster, WorkerHistory } from "./cluster-expectation.js";
import { workers } from "./cluster-pushes.js";
import { VersionMaker } from "./cluster-versions.js";
import type { ClusterWorkerPlan } from "./cluster-worker.js";
import { ChaosFailure } from "./rounds.js";
import { readContents } from "./world.js";

const workerScript = fileURLToPath(new URL("./cluster-worker.js", import.meta.url));
/** Kills after which everything is compared, and a new cluster begun. */
const storyRounds = 20;

export interface ClusterTally {
  rounds: number;
  nodeKills: number;
  workerKills: number;
  /** Pushes that were acknowledged and are held, each to several shards. */
  pushes: number;
  /** Of those that were sent, the ones that a killed worker did not hear of. */
  unheard: number;
  /** Versions that were made meanwhile, and those that came to nothing. */
  versions: number;
  versionsFailed: number;
}

/** Kills `rounds` times. Calls back after each. @throws ChaosFailure */
export async function runClusterRounds(
  rounds: number,
  seed: number,
  onRound: (tally: ClusterTally) => void,
): Promise<ClusterTally> {
  const tally: ClusterTally = {
    rounds: 0,
    nodeKills: 0,
    workerKills: 0,
    pushes: 0,
    unheard: 0,
    versions: 0,
    versionsFailed: 0,
  };
  for (let begun = 0; begun < rounds; begun += storyRounds) {
    const story = new ClusterStory((seed + begun) >>> 0, tally);
    await story.play(Math.min(storyRounds, rounds - begun), onRound);
  }
  return tally;
}

class ClusterStory {
  readonly #seed: number;
  readonly #tally: ClusterTally;
  readonly #random: Prng;
  readonly #place = mkdtempSync(join(tmpdir(), "embershard-cluster-chaos-"));
  readonly #workers: WorkerLife[];
  #cluster: ClusterProcesses | undefined;
  #maker: VersionMaker | undefined;

  constructor(seed: number, tally: ClusterTally) {
    this.#seed = seed;
    this.#tally = tally;
    this.#random = new Prng(seed);
    this.#workers = Array.from({ length: workers }, (_, worker) => {
      return new WorkerLife(seed, worker, join(this.#place, `journal-${worker}`));
    });
  }

  async play(rounds: number, onRound: (tally: ClusterTally) => void): Promise<void> {
    try {
      this.#cluster = await ClusterProcesses.start(join(this.#place, "nodes"), {
        nodes: 2,
        shards: 1 + (this.#seed % 2),
      });
      for (const worker of this.#workers) this.#begin(worker);
      this.#maker = await VersionMaker.begin(
        this.#cluster.address,
        this.#workers.map(({ journal }) => journal),
      );
      for (let round = 0; round < rounds; round++) {
        await this.#round(this.#cluster);
        this.#tally.rounds++;
        onRound(this.#tally);
      }
      await Promise.all(this.#workers.map((worker) => worker.finish()));
      await this.#maker.end();
      await this.#verify(this.#cluster, this.#maker);
    } catch (error) {
      throw new ChaosFailure(this.#seed, this.#tally.rounds, this.#place, (error as Error).stack!);
    } finally {
      for (const worker of this.#workers) await worker.kill();
      await this.#maker?.close();
      await this.#cluster?.end();
    }
    rmSync(this.#place, { recursive: true, force: true });
  }

  #begin(worker: WorkerLife): void {
    worker.begin(this.#cluster!.address, 1 + this.#random.below(6));
  }

  /** Lets all of them work, then kills one, or two at once, and starts them again. */
  async #round(cluster: ClusterProcesses): Promise<void> {
    await Promise.all(this.#workers.map((worker) => worker.progress()));
    await new Promise((resolve) => setTimeout(resolve, this.#random.unit() * 60));
    const kind = this.#random.below(5);
    const node = cluster.members[this.#random.below(cluster.members.length)].name;
    const worker = this.#workers[this.#random.below(workers)];
    if (kind !== 0) {
      this.#tally.nodeKills++;
      await cluster.kill(node);
    }
    if (kind <= 1) {
      this.#tally.workerKills++;
      await worker.kill();
      // It has to find its way to nodes of which one may be away.
      this.#begin(worker);
    }
    if (kind !== 0) await cluster.begin(node);
  }

  async #verify(cluster: ClusterProcesses, maker: VersionMaker): Promise<void> {
    const store = await connect(cluster.address);
    try {
      const histories = this.#workers.map(
        ({ journal }, worker) => new WorkerHistory(this.#seed, worker, journal),
      );
      const { sent, acknowledged } = demandCluster(histories, await readContents(store));
      this.#tally.pushes += acknowledged;
      this.#tally.unheard += sent - acknowledged;
      const version = await maker.demand(histories);
      this.#tally.versions += maker.made;
      this.#tally.versionsFailed += maker.failed;
      if (version) await maker.demandRollback(cluster, version, this.#random);
    } finally {
      await store.close();
    }
    const ended = await cluster.stop();
    if (ended.some((code) => code !== 0)) throw new Error(`nodes ended with ${ended.join(", ")}`);
  }
}

/** A worker over its lives. */
class WorkerLife {
  readonly journal: string;
  readonly #seed: number;
  readonly #worker: number;
  #child: ChildProcess | undefined;
  #session = 0;
  #acknowledged = 0;
  #err = "";
  #heard: (() => void)[] = [];

  constructor(seed: number, worker: number, journal: string) {
    this.#seed = seed;
    this.#worker = worker;
    this.journal = journal;
    writeFileSync(journal, "");
  }

  begin(address: string, window: number): void {
    const sent = readFileSync(this.journal, "utf8")
      .split("\n")
      .filter((line) => line.startsWith("s"));
    const plan: ClusterWorkerPlan = {
      address,
      journal: this.journal,
      seed: this.#seed,
      worker: this.#worker,
      session: ++this.#session,
      from: 1 + Number(sent.at(-1)?.slice(1) ?? 0),
      window,
    };
    const child = fork(workerScript, [JSON.stringify(plan)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.#child = child;
    this.#err = "";
    child.stderr!.on("data", (data) => (this.#err += data));
    child.on("message", () => {
      this.#acknowledged++;
      this.#tell();
    });
    child.on("exit", () => this.#tell());
  }

  /** Waits for a push, or some, to be acknowledged from now on. @throws when the worker has ended by itself */
  async progress(): Promise<void> {
    const until = this.#acknowledged + 2;
    while (this.#acknowledged < until) {
      this.#demandRunning();
      await new Promise<void>((resolve) => this.#heard.push(resolve));
    }
  }

  /** Lets it finish what is under way, and end. */
  async finish(): Promise<void> {
    this.#demandRunning();
    this.#child!.send("end");
    await this.#gone();
    if (this.#child!.exitCode !== 0) throw new Error(`worker ${this.#worker} failed: ${this.#err}`);
  }

  async kill(): Promise<void> {
    this.#child?.kill("SIGKILL");
    await this.#gone();
  }

  #demandRunning(): void {
    const { exitCode, signalCode } = this.#child!;
    if (exitCode === null && signalCode === null) return;
    throw new Error(`worker ${this.#worker} ended with ${exitCode ?? signalCode}: ${this.#err}`);
  }

  async #gone(): Promise<void> {
    const child = this.#child;
    if (child && child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }

  #tell(): void {
    for (const resolve of this.#heard.splice(0)) resolve();
  }
}
