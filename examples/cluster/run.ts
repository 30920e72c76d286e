import { existsSync, rmSync } from "node:fs";
import { mkdir, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { connect, EmbershardError, openStore, type Store } from "../../lib/index.js";
import { readMovieLens, splitRatings } from "../movielens/data.js";
import { featuresOf } from "../movielens/features.js";
import { generateData } from "../movielens/generated-data.js";
import { auc, rmse } from "../movielens/metrics.js";
import { openParameters } from "../movielens/parameters.js";
import { INTERRUPTED, type RunOutput } from "../movielens/run.js";
import { EPOCHS, SEED, SETTINGS } from "../movielens/settings.js";
import { heldOutJudge, meanStars, type Task, train } from "../movielens/training.js";
import { Display } from "./display.js";
import { Children, freePortPairs, NodeProcess, workerProcess } from "./processes.js";
import { proofOf } from "./proof.js";
import { reportText } from "./report.js";
import { figuresOf, type NodeFigures } from "./status.js";
import type { Proof, Quality, StoryReport, WorkerProgress, WorkerResult } from "./story.js";

export interface StoryOptions {
  /** The directory of MovieLens 100K; generated data without it. */
  readonly path?: string | undefined;
  /** Where the nodes' directories go, and stay: a new or empty one. Temporary unless given. */
  readonly dir?: string | undefined;
  readonly epochs?: number | undefined;
  readonly seed?: number | undefined;
  /** Reports as one JSON object. */
  readonly json?: boolean | undefined;
  /** Milliseconds that the killed node stays away. */
  readonly awayMs?: number | undefined;
}

const nodeNames = ["a", "b", "c"];
const victimName = "b";
const workerCount = 4;
/** The share of all batches after which the node is killed. */
const killAt = 0.4;
const drawEveryMs = 250;

/**
 * Three nodes, four workers, one model; a node is killed in the middle and started again. Gives an exit code: 0; 1 where a
 * push was lost or counted twice; `INTERRUPTED` after SIGINT or SIGTERM. Nothing of it is left running, whatever happens.
 */
export async function run(options: StoryOptions, output: RunOutput): Promise<number> {
  const directory = await directoryOf(options.dir);
  const children = new Children();
  const display = new Display(output.err);
  // The last thing that this process does, however it ends, short of being killed: then nodes and workers notice.
  const atExit = () => {
    children.killAll();
    if (options.dir === undefined && existsSync(directory)) rmSync(directory, { recursive: true });
  };
  process.once("exit", atExit);
  let interrupt = () => {};
  const interrupted = new Promise<undefined>((resolve) => {
    interrupt = () => resolve(undefined);
  });
  process.once("SIGINT", interrupt).once("SIGTERM", interrupt);
  const story = new Story(options, directory, children, display);
  const told = story.tell();
  try {
    const report = await Promise.race([told, interrupted]);
    if (!report) {
      display.end();
      output.err.write("interrupted: nodes and workers are ended\n");
      return INTERRUPTED;
    }
    output.out.write(options.json ? `${JSON.stringify(report)}\n` : reportText(report));
    return report.counted.lost + report.counted.doubled === 0 ? 0 : 1;
  } finally {
    display.end();
    story.end();
    await children.endAll();
    // What it fails with when its processes are gone is no news.
    await told.catch(() => undefined);
    process.off("SIGINT", interrupt).off("SIGTERM", interrupt).off("exit", atExit);
    if (options.dir === undefined) await rm(directory, { recursive: true, force: true });
  }
}

async function directoryOf(dir: string | undefined): Promise<string> {
  if (dir === undefined) return mkdtemp(join(tmpdir(), "embershard-cluster-"));
  await mkdir(dir, { recursive: true });
  if ((await readdir(dir)).length > 0)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `found ${dir} with something in it, expected a new directory for the nodes: choose another --dir`,
    );
  return dir;
}

class Story {
  readonly #options: StoryOptions;
  readonly #directory: string;
  readonly #children: Children;
  readonly #display: Display;
  readonly #epochs: number;
  readonly #seed: number;
  readonly #startMs = performance.now();
  readonly #progress: (WorkerProgress | undefined)[] = new Array(workerCount).fill(undefined);
  readonly #figures = new Map<string, NodeFigures | undefined>();
  #nodes: NodeProcess[] = [];
  #drawing: NodeJS.Timeout | undefined;
  #store: Store | undefined;
  #judged = 0;
  #downMs = 0;
  #over = false;

  constructor(options: StoryOptions, directory: string, children: Children, display: Display) {
    this.#options = options;
    this.#directory = directory;
    this.#children = children;
    this.#display = display;
    this.#epochs = options.epochs ?? EPOCHS;
    this.#seed = options.seed ?? SEED;
  }

  async tell(): Promise<StoryReport> {
    const task = await this.#task();
    await this.#startNodes();
    const address = `ember://${this.#nodes.map((node) => node.address).join(",")}`;
    this.#display.say(
      `nodes ${nodeNames.join(", ")} serve; look at them: embershard status ${address} --watch`,
    );
    const store = await connect(address);
    this.#store = store;
    const judge = await this.#judgeIn(store, task);
    this.#drawing = setInterval(() => void this.#draw(task), drawEveryMs);
    const [results] = await Promise.all([
      this.#work(address),
      this.#killInTheMiddle(task),
      this.#watch(task, judge),
    ]);
    clearInterval(this.#drawing);
    this.#display.end();
    const quality = await judge();
    const features = featuresOf(task.dataset);
    const counted = await proofOf(
      store,
      ["weights", "factors"],
      features.keys,
      results.map(({ pushes }) => pushes),
    );
    const repeated = (await Promise.all(this.#nodes.map(({ address }) => figuresOf(address)))).reduce(
      (sum, figures) => sum + (figures?.repeated ?? 0),
      0,
    );
    await store.close();
    await Promise.all(this.#nodes.map((node) => node.stop()));
    const seconds = (performance.now() - this.#startMs) / 1000;
    this.#display.say("the same job by one process, to compare");
    const single = await this.#single(task);
    return this.#report({ task, quality, single, results, counted, repeated, seconds });
  }

  /** Nothing is drawn, and nobody is asked or waited for any more. */
  end(): void {
    this.#over = true;
    clearInterval(this.#drawing);
    // Calls that wait for nodes that are gone would wait for long.
    void this.#store?.close();
  }

  async #task(): Promise<Task> {
    const { path } = this.#options;
    const dataset = path === undefined ? generateData(this.#seed) : await readMovieLens(path);
    return { dataset, ...splitRatings(dataset.ratings.stars.length, this.#seed) };
  }

  async #startNodes(): Promise<void> {
    const ports = await freePortPairs(nodeNames.length);
    const members = nodeNames.map((name, i) => ({ name, host: "127.0.0.1", port: ports[i]! }));
    const cluster = join(this.#directory, "cluster.json");
    await writeFile(cluster, `${JSON.stringify({ nodes: members }, undefined, 2)}\n`);
    this.#nodes = members.map(({ name, host, port }) => {
      const dir = join(this.#directory, name);
      return new NodeProcess(this.#children, { name, address: `${host}:${port}`, dir, cluster });
    });
    await Promise.all(this.#nodes.map((node) => node.start()));
  }

  async #judgeIn(store: Store, task: Task): Promise<() => Promise<Quality>> {
    const parameters = await openParameters(store, SETTINGS, {
      seed: this.#seed,
      meanStars: meanStars(task),
    });
    const scored = heldOutJudge(parameters, task, SETTINGS);
    return async () => {
      const found = await scored();
      return { rmse: rmse(found), auc: auc(found) };
    };
  }

  #work(address: string): Promise<WorkerResult[]> {
    const { path } = this.#options;
    const plan = { address, of: workerCount, epochs: this.#epochs, seed: this.#seed, path };
    return Promise.all(
      this.#progress.map((_, number) =>
        workerProcess(this.#children, { ...plan, name: `worker-${number}`, number }, (progress) => {
          this.#progress[number] = progress;
        }).then((result) => {
          const { pushes: _, kind: __, ...last } = result;
          this.#progress[number] = { kind: "progress", ...last };
          return result;
        }),
      ),
    );
  }

  #share(task: Task): number {
    const batches = this.#epochs * Math.ceil(task.train.length / SETTINGS.batchSize);
    return this.#progress.reduce((sum, progress) => sum + (progress?.batches ?? 0), 0) / batches;
  }

  async #killInTheMiddle(task: Task): Promise<void> {
    const victim = this.#nodes.find(({ name }) => name === victimName)!;
    while (this.#share(task) < killAt) {
      await pause(20);
      if (this.#over) return;
    }
    const killedMs = performance.now();
    await victim.kill();
    this.#display.say(
      `node ${victim.name} killed with -9 after ${percent(this.#share(task))} of the batches`,
    );
    await pause(this.#options.awayMs ?? 2000);
    const replayed = await victim.start();
    this.#downMs = performance.now() - killedMs;
    this.#display.say(
      `node ${victim.name} serves again after ${(this.#downMs / 1000).toFixed(1)} s: ${replayed} records replayed`,
    );
  }

  /** Judges after every few epochs that all workers have finished. */
  async #watch(task: Task, judge: () => Promise<Quality>): Promise<void> {
    const every = Math.max(1, Math.floor(this.#epochs / 6));
    while (!this.#over && this.#judged + every <= this.#epochs && this.#share(task) < 1) {
      const finished = Math.min(...this.#progress.map((progress) => progress?.epoch ?? 0));
      if (finished < this.#judged + every) {
        await pause(50);
        continue;
      }
      this.#judged = finished - (finished % every);
      const { rmse } = await judge();
      this.#display.say(
        `epoch ${this.#judged} of ${this.#epochs} done by all: held-out RMSE ${rmse.toFixed(4)}`,
      );
    }
  }

  async #draw(task: Task): Promise<void> {
    await Promise.all(
      this.#nodes.map(async ({ name, address }) => this.#figures.set(name, await figuresOf(address))),
    );
    if (this.#share(task) >= 1) return;
    this.#display.draw({
      nodes: this.#nodes.map(({ name, address, state }) => ({
        name,
        address,
        state,
        figures: state === "ready" ? this.#figures.get(name) : undefined,
      })),
      workers: this.#progress.map((progress, number) => ({ name: `worker-${number}`, progress })),
      epochs: this.#epochs,
      share: this.#share(task),
      seconds: (performance.now() - this.#startMs) / 1000,
    });
  }

  async #single(task: Task): Promise<Quality> {
    const directory = join(this.#directory, "single");
    const store = await openStore(directory);
    try {
      const { heldOut } = await train(store, task, {
        settings: SETTINGS,
        epochs: this.#epochs,
        seed: this.#seed,
      });
      return heldOut;
    } finally {
      await store.close();
      await rm(directory, { recursive: true });
    }
  }

  #report(found: {
    task: Task;
    quality: Quality;
    single: Quality;
    results: readonly WorkerResult[];
    counted: Proof;
    repeated: number;
    seconds: number;
  }): StoryReport {
    const { task, quality, single, results, counted, repeated, seconds } = found;
    const { dir } = this.#options;
    return {
      data: task.dataset.name,
      epochs: this.#epochs,
      seed: this.#seed,
      nodes: nodeNames.length,
      workers: workerCount,
      ...quality,
      single,
      seconds,
      batches: results.reduce((sum, { batches }) => sum + batches, 0),
      kills: 1,
      downMs: Math.round(this.#downMs),
      retries: results.reduce((sum, { retries }) => sum + retries, 0),
      repeated,
      counted,
      ...(dir !== undefined && { dir }),
    };
  }
}

function percent(share: number): string {
  return `${Math.round(100 * share)} %`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
