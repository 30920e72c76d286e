// What all processes of a simulation share: time, network, slot map, models of the shards, and what went wrong.

import { zeros } from "../../lib/api/initializers.js";
import { adagrad, adam, sgd } from "../../lib/api/optimizers.js";
import type { TableDefinition, TableOptions } from "../../lib/api/table-definition.js";
import { Prng } from "../../lib/base/prng.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import { LoopbackNetwork } from "../../lib/net/loopback.js";
import { firstMap } from "../../lib/ring/placement.js";
import type { SlotMap } from "../../lib/ring/slot-map.js";
import { VirtualClock } from "../net/virtual-clock.js";
import type { Bug } from "./bugs.js";
import { SimProcess } from "./process.js";
import { ShardModel } from "./shard-model.js";
import { SimMemory } from "./sim-memory.js";
import type { SimWrite } from "./sim-write.js";
import { VersionLedger } from "./version-ledger.js";

/** Control ports, and those of the first shards behind them. */
export const controlPort = 7400;

export interface WorldOptions {
  readonly seed: number;
  /** Told what happens, a line each. */
  readonly trace?: ((line: string) => void) | undefined;
  /** What is wrong with the nodes, to see whether it is noticed. */
  readonly bug?: Bug | undefined;
  /** Workers do more with versions than with rows. */
  readonly manyVersions?: boolean | undefined;
}

/** How large a world is. */
export interface Scale {
  readonly nodes: number;
  readonly shardsPerNode: number;
  readonly workers: number;
  /** Calls of each worker. */
  readonly calls: number;
  /** Keys of each table: 0 to one less. */
  readonly keys: number;
}

/** Something that must not be. */
export class Violation extends Error {}

export class World {
  readonly seed: number;
  readonly random: Prng;
  readonly clock = new VirtualClock();
  readonly memory = new SimMemory();
  readonly network: LoopbackNetwork;
  readonly bug: Bug | undefined;
  readonly manyVersions: boolean;
  readonly scale: Scale;
  readonly tables: Readonly<Record<string, TableOptions>>;
  /** The map that whoever starts or asks is told. */
  map: SlotMap;
  /** By owner, as the map has them; who owns what never changes. */
  readonly models: readonly ShardModel[];
  /** Every write, by worker, session and sequence. */
  readonly writes = new Map<string, SimWrite>();
  /** The latest session of each worker. */
  readonly sessions = new Map<string, bigint>();
  /** Power has been lost somewhere: what was acknowledged at `os` may be gone. */
  powerWasLost = false;
  violation: Violation | undefined;
  /** Counts what changes anything in any shard, in its order. */
  ticks = 0;
  /** Rollbacks that were asked for: tables may be gone. */
  rollbacks = 0;
  readonly versions: VersionLedger;
  /** How often what has happened. */
  readonly counts = new Map<string, number>();
  readonly #trace: ((line: string) => void) | undefined;
  readonly #slots = new Map<string, Uint16Array>();
  readonly #known = new Set<number>();

  constructor({ seed, trace, bug, manyVersions = false }: WorldOptions) {
    this.seed = seed;
    this.bug = bug;
    this.manyVersions = manyVersions;
    this.#trace = trace;
    const random = new Prng(seed);
    this.random = random;
    this.network = new LoopbackNetwork({
      clock: this.clock,
      seed: random.u32(),
      failed: (error) => this.violate(`a receiver threw: ${(error as Error).stack}`),
      ...(trace && { trace: (line: string) => trace(line.replace(/^([\d.]+)/, padded)) }),
    });
    this.scale = scaleOf(random);
    this.tables = tablesOf(random);
    this.map = mapOf(this.scale);
    this.models = this.map.owners.map((_, owner) => new ShardModel(this, owner));
    this.versions = new VersionLedger(this);
  }

  get names(): string[] {
    return [...new Set(this.map.owners.map(({ node }) => node))];
  }

  get address(): string {
    return `ember://${this.names.map((name) => `${name}:${controlPort}`).join(",")}`;
  }

  process(host: string): SimProcess {
    return new SimProcess(host, this.clock, this.network, this.random.u32());
  }

  /** Says what happens, to those who read traces. */
  tell(who: string, what: () => string): void {
    this.#trace?.(`${padded(this.clock.now().toFixed(3))} ${who.padEnd(8)} ${what()}`);
  }

  count(what: string): void {
    this.counts.set(what, 1 + (this.counts.get(what) ?? 0));
  }

  /** Notes something that must not be. The first one ends the simulation. */
  violate(what: string): void {
    this.tell("VIOLATION", () => what);
    this.violation ??= new Violation(`after ${this.clock.now().toFixed(3)} ms: ${what}`);
  }

  /** Learns where a table's keys lie. */
  define({ name, placement }: Pick<TableDefinition, "name" | "placement">): void {
    if (this.#slots.has(name)) return;
    const seed = BigInt(placement);
    const slots = Uint16Array.from({ length: this.scale.keys }, (_, key) =>
      Number(hashKey(BigInt(key), seed) >> 50n),
    );
    this.#slots.set(name, slots);
    for (const slot of slots) this.#known.add(slot);
  }

  /** All slots that keys of tables lie in. */
  get slots(): ReadonlySet<number> {
    return this.#known;
  }

  slotOf(table: string, key: bigint): number {
    return this.#slots.get(table)![Number(key)];
  }

  ownerOf(table: string, key: bigint): number {
    return this.map.ownerOf[this.slotOf(table, key)];
  }
}

const padded = (text: string) => text.padStart(11);

function scaleOf(random: Prng): Scale {
  const nodes = 1 + random.below(3);
  return {
    nodes,
    shardsPerNode: nodes === 3 ? 1 : 1 + random.below(2),
    workers: 1 + random.below(3),
    calls: 6 + random.below(18),
    keys: 8 + random.below(40),
  };
}

function tablesOf(random: Prng): Record<string, TableOptions> {
  const optimizers = [
    adagrad({ learningRate: 0.1 }),
    adam({ learningRate: 0.01 }),
    sgd({ learningRate: 0.5, momentum: 0.9 }),
  ];
  return {
    // Whole numbers: what is lost or doubled can be read off the weights.
    sums: { dim: 2, optimizer: sgd({ learningRate: 1 }), initializer: zeros() },
    model: { dim: 1 + random.below(6), optimizer: optimizers[random.below(optimizers.length)] },
  };
}

const maps = new Map<string, SlotMap>();

/** The first map, which takes long enough to be made once only. */
function mapOf({ nodes, shardsPerNode: shards }: Scale): SlotMap {
  const name = `${nodes} ${shards}`;
  const known = maps.get(name);
  if (known) return known;
  const members = ["a", "b", "c"]
    .slice(0, nodes)
    .map((node) => ({ name: node, shards, host: node, port: controlPort }));
  const map = firstMap(members);
  maps.set(name, map);
  return map;
}
