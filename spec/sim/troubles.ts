// What goes wrong, one thing after the other, until it is told to end; then all is well again.

import { Prng } from "../../lib/base/prng.js";
import { NO_FAULTS } from "../../lib/net/link-faults.js";
import { pick, time, weighted } from "./chance.js";
import type { SimNode } from "./sim-node.js";
import type { SimWorker } from "./sim-worker.js";
import type { World } from "./world.js";

/** What may go wrong, and how often beside the others. */
const likelihoods = {
  "a node is killed": 5,
  "power is lost": 2,
  "a node stops": 2,
  "a shard breaks": 2,
  "a disk is slow": 3,
  "a disk fails": 5,
  "the network changes": 5,
  "a black hole": 3,
  "connections are cut": 3,
  "a new slot map": 4,
  "a worker is killed": 3,
  "a worker is fenced": 1,
  "a clock jumps": 2,
};
type Trouble = keyof typeof likelihoods;

/** Who can be troubled. */
export interface Troubled {
  readonly nodes: readonly SimNode[];
  workers(): readonly SimWorker[];
  /** Begins a session of a worker, whether or not an earlier one is still there. */
  restart(worker: SimWorker): void;
}

export class Troubles {
  readonly #world: World;
  readonly #troubled: Troubled;
  readonly #random: Prng;
  #ended = false;
  #moves = 0;
  /** What is still to be made good. */
  readonly #mending = new Set<() => void>();

  constructor(world: World, troubled: Troubled) {
    this.#world = world;
    this.#troubled = troubled;
    this.#random = new Prng(world.random.u32());
    this.#weather();
    this.#next();
  }

  #next(): void {
    if (this.#ended) return;
    this.#world.clock.after(time(this.#random, 5, 250), () => {
      if (this.#ended) return;
      this.#strike();
      this.#next();
    });
  }

  #strike(): void {
    const kind = weighted(this.#random, likelihoods);
    this.#world.count(kind);
    const node = pick(this.#random, this.#troubled.nodes);
    const worker = pick(this.#random, this.#troubled.workers());
    this.#strikes[kind](node, worker);
  }

  readonly #strikes: Readonly<Record<Trouble, (node: SimNode, worker: SimWorker) => void>> = {
    "a node is killed": (node) => {
      node.end("kill", this.#random.below(4) === 0);
      this.#startLater(node);
    },
    "power is lost": (node) => {
      node.end("power");
      this.#startLater(node);
    },
    "a node stops": (node) => {
      void node.stop(time(this.#random, 0, 1000)).then(() => this.#startLater(node));
    },
    "a shard breaks": (node) => node.breakShard(this.#random.below(node.disks.length)),
    "a disk is slow": (node) => pick(this.#random, node.disks).slow(time(this.#random, 1, 300)),
    "a disk fails": (node) => this.#spoil(node),
    "the network changes": () => this.#weather(),
    "a black hole": (node, worker) => this.#blackHole(node.name, worker.process.host),
    "connections are cut": (node, worker) => {
      this.#world.tell("network", () => `cuts ${node.name} from ${worker.process.host}`);
      this.#world.network.cutAll(node.name, worker.process.host);
    },
    "a new slot map": () => this.#newEpoch(),
    "a worker is killed": (_, worker) => {
      worker.kill();
      this.#troubled.restart(worker);
    },
    "a worker is fenced": (_, worker) => this.#troubled.restart(worker),
    "a clock jumps": (node, worker) => {
      const ms = time(this.#random, -4, 4) * 3_600_000;
      if (this.#random.below(2) === 0) node.jumpClock(ms);
      else worker.jumpClock(ms);
    },
  };

  #startLater(node: SimNode): void {
    this.#later(time(this.#random, 1, 400), () => {
      if (!node.running) node.start();
    });
  }

  /** Does something later, or when all is made well. */
  #later(ms: number, act: () => void): void {
    const once = () => {
      if (this.#mending.delete(once)) act();
    };
    this.#mending.add(once);
    this.#world.clock.after(ms, once);
  }

  #spoil(node: SimNode): void {
    const disk = pick(this.#random, node.disks);
    const what = disk.spoil();
    this.#world.tell(node.name, () => `disk ${node.disks.indexOf(disk)} is ${what}`);
    this.#later(time(this.#random, 50, 1500), () => disk.mend());
  }

  /** How the network is in general. */
  #weather(): void {
    const random = this.#random;
    const most = pick(random, [0, 1, 10, 60]);
    this.#world.network.setFaults({
      delayMs: [0, most],
      cut: pick(random, [0, 0, 0.02, 0.1]),
      refuse: pick(random, [0, 0, 0.3]),
      bytesPerMs: pick(random, [0, 0, 200]),
    });
  }

  #blackHole(one: string, other: string): void {
    const { network } = this.#world;
    const [from, to] = this.#random.below(2) === 0 ? [one, other] : [other, one];
    this.#world.tell("network", () => `has a black hole from ${from} to ${to}`);
    network.setFaults({ blackHole: true }, from, to);
    this.#later(time(this.#random, 20, 3000), () => network.setFaults({ blackHole: false }, from, to));
  }

  /** A new slot map: the same owners of the same slots, and those of a node that is down may be elsewhere. */
  #newEpoch(): void {
    const world = this.#world;
    const random = this.#random;
    const down = this.#troubled.nodes.filter((node) => !node.running).map(({ name }) => name);
    const ports = 100 * ++this.#moves;
    const owners = world.map.owners.map((owner) =>
      down.includes(owner.node) ? { ...owner, port: 7401 + ports + owner.shard } : owner,
    );
    const map = { ...world.map, owners, epoch: world.map.epoch + 1 };
    world.map = map;
    world.tell(
      "cluster",
      () => `has epoch ${map.epoch}${down.length > 0 ? `; moved: ${down.join(", ")}` : ""}`,
    );
    for (const node of this.#troubled.nodes) this.#later(time(random, 0, 300), () => node.learnMap(map));
  }

  /** No more of it; what was spoiled is mended, who is down is started. */
  end(): void {
    this.#ended = true;
    const { network, map } = this.#world;
    for (const mend of [...this.#mending]) mend();
    network.setFaults(NO_FAULTS);
    for (const node of this.#troubled.nodes) {
      for (const disk of node.disks) disk.mend();
      if (!node.running) node.start();
      node.learnMap(map);
    }
    this.#world.tell("all", () => "is well from now on");
  }
}
