// A cluster in one process: shards over disks in memory, a network in memory, real time.
import { type Clock, wakefulClock } from "../../lib/base/clock.js";
import { connectIn } from "../../lib/client/open-client.js";
import type { ConnectOptions, Store } from "../../lib/index.js";
import type { ConnectingTransport, Listener } from "../../lib/net/connection.js";
import { LoopbackNetwork } from "../../lib/net/loopback.js";
import type { NodeSettings } from "../../lib/node/setting-table.js";
import { resolveSettings } from "../../lib/node/settings.js";
import { noCounts } from "../../lib/node/shard-figures.js";
import { ShardService } from "../../lib/node/shard-service.js";
import { socketLimits } from "../../lib/node/socket-limits.js";
import { firstMap } from "../../lib/ring/placement.js";
import type { SlotMap } from "../../lib/ring/slot-map.js";
import type { Shard, ShardOptions } from "../../lib/shard/shard.js";
import { MemoryDisk } from "../embedded/memory-store.js";

const host = "node";
const firstPort = 7401;

/** Real time, but what is due at once is done in the next turn: a timer takes a millisecond at least. */
const clock: Clock = {
  now: wakefulClock.now,
  elapsed: wakefulClock.elapsed,
  after(delayMs, callback) {
    if (delayMs >= 1) return wakefulClock.after(delayMs, callback);
    const turn = setImmediate(callback);
    return () => clearImmediate(turn);
  },
};

interface Member {
  readonly disk: MemoryDisk;
  shard: Shard;
  service: ShardService;
  listener: Listener;
  killed: boolean;
}

/** A node with so many shards; clients ask any shard for the map. */
export class ServedCluster {
  readonly network: LoopbackNetwork;
  readonly failures: unknown[] = [];
  readonly #members: Member[] = [];
  readonly #disks: MemoryDisk[];
  readonly #options: Partial<ShardOptions>;
  readonly #settings: Partial<Record<keyof NodeSettings, unknown>>;
  map: SlotMap;
  readonly #counts = new Map<number, ReturnType<typeof noCounts>>();
  #workers = 0;

  private constructor(
    shards: number,
    options: Partial<ShardOptions>,
    settings: Partial<Record<keyof NodeSettings, unknown>>,
  ) {
    this.#options = options;
    this.#settings = settings;
    this.#disks = Array.from({ length: shards }, (_, i) => new MemoryDisk(i + 1));
    const failed = (error: unknown) => this.failures.push(error);
    this.network = new LoopbackNetwork({ clock, seed: 1, failed });
    const map = firstMap([{ name: "node", shards, host, port: firstPort - 1 }]);
    this.map = map;
  }

  static async open(
    shards: number,
    options: Partial<ShardOptions> = {},
    settings: Partial<Record<keyof NodeSettings, unknown>> = {},
  ): Promise<ServedCluster> {
    const cluster = new ServedCluster(shards, options, settings);
    await cluster.start();
    return cluster;
  }

  /** Opens what the disks have, and serves it. */
  async start(): Promise<void> {
    for (const [number, disk] of this.#disks.entries()) await this.#serve(number, disk);
  }

  async #serve(number: number, disk: MemoryDisk): Promise<void> {
    await disk.open(this.#options);
    const shard = disk.shard as Shard;
    const { settings } = resolveSettings({ flags: this.#settings }, { memoryBytes: 8 * 2 ** 30 });
    const counts = noCounts();
    this.#counts.set(number, counts);
    const service = new ShardService(shard, {
      software: "spec",
      node: "node",
      number,
      shards: this.#disks.length,
      store: "07".repeat(16),
      settings,
      clock,
      counts,
      broken: (cause) => this.failures.push(cause),
    });
    service.setMap(this.map);
    const listener = await this.network
      .transport(host)
      .listen({ host, port: firstPort + number }, socketLimits(settings), (connection) =>
        service.accept(connection),
      );
    this.#members[number] = { disk, shard, service, listener, killed: false };
  }

  /** Bytes of messages that shards have received. */
  get bytesIn(): number {
    return [...this.#counts.values()].reduce((sum, { bytesIn }) => sum + bytesIn, 0);
  }

  get services(): readonly ShardService[] {
    return this.#members.map(({ service }) => service);
  }

  /** Puts another map in force. */
  setMap(map: SlotMap): void {
    this.map = map;
    for (const { service } of this.#members) service.setMap(map);
  }

  connect(
    options: ConnectOptions = {},
    from = "client",
    transport: ConnectingTransport = this.network.transport(from),
  ): Promise<Store> {
    return connectIn(
      {
        transport,
        clock,
        random: Math.random,
        uniqueName: () => `worker ${++this.#workers}`,
      },
      `ember://${host}:${firstPort}`,
      options,
    );
  }

  /** Ends it in good order. */
  async stop(): Promise<void> {
    for (const { listener, shard, killed } of this.#members.splice(0)) {
      await listener.close();
      if (!killed) await shard.close();
    }
  }

  /** Kills one shard's process: what it wrote stays. Nobody listens there until `restart`. */
  async kill(number: number): Promise<void> {
    const member = this.#members[number];
    member.killed = true;
    member.disk.kill();
    await member.listener.close();
  }

  async restart(number: number): Promise<void> {
    await this.#serve(number, this.#members[number].disk);
  }

  async killAndRestart(number: number): Promise<void> {
    await this.kill(number);
    await this.restart(number);
  }
}
