// One cluster's story, from one seed: troubled for a while, then left alone, then compared.

import { SimNode } from "./sim-node.js";
import { SimWorker } from "./sim-worker.js";
import { Troubles } from "./troubles.js";
import { type Violation, World, type WorldOptions } from "./world.js";

export { Violation } from "./world.js";

/** Milliseconds of trouble, at most. */
const troubledMs = 2000;
/** Milliseconds in which all must be well again: half-open connections are noticed after a minute. */
const patienceMs = 300_000;
/** Longer than a shard holds its writes. */
const settlingMs = 12_000;

/** What came of a story. */
export interface Outcome {
  /** Calls that workers made. */
  readonly writes: number;
  readonly violation: Violation | undefined;
  /** Virtual milliseconds. */
  readonly ms: number;
  /** Timers that went off. */
  readonly steps: number;
  /** How often what has happened. */
  readonly counts: ReadonlyMap<string, number>;
}

/** Tells the story of a seed, up to the first thing that must not be. */
export async function simulate(options: WorldOptions): Promise<Outcome> {
  const world = new World(options);
  try {
    return await new Simulation(world).run();
  } finally {
    world.memory.release();
  }
}

class Simulation {
  readonly #world: World;
  readonly #nodes: readonly SimNode[];
  readonly #workers = new Map<string, SimWorker>();
  /** Lives of workers that are not over, those that were fenced too. */
  readonly #lives = new Set<SimWorker>();
  #steps = 0;
  #finished = false;

  constructor(world: World) {
    this.#world = world;
    this.#nodes = world.names.map((name) => new SimNode(world, name));
  }

  async run(): Promise<Outcome> {
    const world = this.#world;
    const { clock } = world;
    this.#story().then(
      () => {
        this.#finished = true;
      },
      (error) => world.violate(`the story breaks off: ${(error as Error).stack}`),
    );
    while (!this.#finished && !world.violation) {
      this.#steps++;
      if (!(await clock.step())) world.violate("nothing is left to happen, and it is not done");
    }
    const { violation, counts, writes } = world;
    return { writes: writes.size, violation, ms: clock.now(), steps: this.#steps, counts };
  }

  async #story(): Promise<void> {
    const { scale, random } = this.#world;
    for (const node of this.#nodes) node.start();
    for (let i = 1; i <= scale.workers; i++) this.#begin(`w${i}`, scale.calls);
    const troubles = new Troubles(this.#world, {
      nodes: this.#nodes,
      workers: () => [...this.#workers.values()],
      restart: (worker) => this.#restart(worker),
    });
    await this.#until(() => this.#lives.size === 0, random.unit() * troubledMs);
    troubles.end();
    await this.#demand(() => this.#lives.size === 0, "workers have made their calls");
    await this.#demand(() => this.#allWell(), "all nodes serve, and all disks are written");
    // One more worker, whom nothing disturbs, finds everybody there.
    const { rollbacks } = this.#world;
    const last = this.#begin("last", 12, true);
    await this.#demand(() => this.#lives.size === 0, "an undisturbed worker has made its calls");
    // It may go back to a version of when a shard had lost a table with its power.
    const mayMissTable = this.#world.powerWasLost && this.#world.rollbacks > rollbacks;
    if (last.over && !(mayMissTable && last.over === "TABLE_NOT_FOUND"))
      this.#world.violate(`an undisturbed worker ends with ${last.over}`);
    // What nobody waits for any more may wait for its turn for a while.
    await this.#until(() => false, settlingMs);
    for (const node of this.#nodes) await node.compare();
    for (const node of this.#nodes) {
      node.end("kill");
      node.start();
    }
    await this.#demand(() => this.#allWell(), "all nodes serve again");
  }

  #allWell(): boolean {
    return this.#nodes.every(
      ({ serving, failures }) => serving && failures.every((one) => one === undefined),
    );
  }

  #begin(name: string, calls: number, thorough = false): SimWorker {
    const worker = new SimWorker(this.#world, name, calls, thorough);
    this.#workers.set(name, worker);
    this.#lives.add(worker);
    void worker.done.then(() => {
      this.#lives.delete(worker);
      const again = worker.over !== undefined && this.#workers.get(name) === worker;
      if (again && worker.left > 0) this.#begin(name, worker.left);
    });
    return worker;
  }

  #restart(worker: SimWorker): void {
    if (!this.#lives.has(worker) || this.#workers.get(worker.name) !== worker) return;
    if (!worker.process.alive) this.#lives.delete(worker);
    this.#begin(worker.name, Math.max(1, worker.left));
  }

  async #demand(condition: () => boolean, what: string): Promise<void> {
    if (!(await this.#until(condition, patienceMs)))
      this.#world.violate(`${patienceMs / 1000} s after all was well it is not so that ${what}`);
  }

  /** Waits for something, at most so many milliseconds. Returns whether it is so. */
  async #until(condition: () => boolean, ms: number): Promise<boolean> {
    const { clock } = this.#world;
    const begin = clock.now();
    while (!condition() && clock.now() < begin + ms) {
      const delayMs = 5 + (clock.now() - begin) / 8;
      await new Promise<void>((resolve) => void clock.after(delayMs, resolve));
    }
    return condition();
  }
}
