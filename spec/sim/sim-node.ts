// A node: its control port and its shards, in process after process on the same disks.
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import { EmbeddedStore } from "../../lib/embedded/embedded-store.js";
import { DEFAULT_SOCKET_LIMITS } from "../../lib/net/connection.js";
import { ControlService } from "../../lib/node/control-service.js";
import { resolveSettings } from "../../lib/node/settings.js";
import { noCounts } from "../../lib/node/shard-figures.js";
import { type HostEvent, ShardHost } from "../../lib/node/shard-host.js";
import { ShardService } from "../../lib/node/shard-service.js";
import type { SlotMap } from "../../lib/ring/slot-map.js";
import type { SimProcess } from "./process.js";
import type { Ending, ShardModel } from "./shard-model.js";
import { SimDisk } from "./sim-disk.js";
import { TappedService } from "./wiretap.js";
import { controlPort, type World } from "./world.js";

const { settings } = resolveSettings({ flags: {} }, { memoryBytes: 8 * 2 ** 30 });
const store = "07".repeat(16);
const planned = "planned: a bug in the shard";

/** One process of a node. */
interface Life {
  readonly process: SimProcess;
  readonly hosts: ShardHost<TappedService>[];
  readonly control: ControlService;
  map: SlotMap;
  state: "starting" | "serving" | "stopping";
}

export class SimNode {
  readonly name: string;
  readonly disks: readonly SimDisk[];
  readonly #world: World;
  readonly #models: readonly ShardModel[];
  readonly #endings: Ending[];
  #life: Life | undefined;
  #lives = 0;

  constructor(world: World, name: string) {
    this.#world = world;
    this.name = name;
    this.#models = world.models.filter((_, owner) => world.map.owners[owner].node === name);
    this.disks = this.#models.map(
      (_, shard) => new SimDisk(shard, new Prng(world.random.u32()), world.memory),
    );
    this.#endings = this.disks.map(() => "kill");
  }

  get running(): boolean {
    return this.#life !== undefined;
  }

  get serving(): boolean {
    return this.#life?.state === "serving";
  }

  /** Why shards do not write at present. */
  get failures(): readonly (EmbershardError | undefined)[] {
    return this.#life?.hosts.map(({ shard }) => shard?.failure) ?? [];
  }

  /** Starts a process: the control port first, then the shards; then it lets clients in. It ends where a disk fails. */
  start(): void {
    const world = this.#world;
    const process = world.process(this.name);
    const number = ++this.#lives;
    world.tell(this.name, () => `starts, life ${number}`);
    const control = new ControlService({
      node: this.name,
      software: "simulation",
      settings,
      clock: process.clock,
      status: () => Promise.reject(new EmbershardError("UNSUPPORTED", "nobody asks here")),
      broken: (cause) => this.#bug(cause),
    });
    const life: Life = { process, hosts: [], control, map: world.map, state: "starting" };
    for (let shard = 0; shard < this.disks.length; shard++) life.hosts.push(this.#host(life, shard));
    this.#life = life;
    this.#begin(life).catch((error) => this.#failed(life, error));
  }

  async #begin(life: Life): Promise<void> {
    const { process, control, hosts } = life;
    await this.#world.network
      .transport(this.name)
      .listen({ host: this.name, port: controlPort }, DEFAULT_SOCKET_LIMITS, (connection) =>
        control.accept(connection),
      );
    for (const host of hosts) await host.start();
    if (!process.alive) return;
    this.#putInForce(life, life.map);
    life.state = "serving";
    this.#world.tell(this.name, () => `serves, epoch ${life.map.epoch}`);
  }

  #putInForce(life: Life, map: SlotMap): void {
    life.map = map;
    for (const { service } of life.hosts) service?.service.setMap(map);
    life.control.begin(map, store);
  }

  #host(life: Life, shard: number): ShardHost<TappedService> {
    const world = this.#world;
    const { process } = life;
    const { port } = life.map.owners[this.#models[shard].owner];
    const name = `${this.name}/${shard}`;
    const counts = noCounts();
    return new ShardHost<TappedService>({
      open: async () => {
        const model = this.#models[shard];
        const opened = await this.disks[shard].open(process);
        await model.recovered(opened.shard, opened.store, this.#endings[shard], () => process.alive);
        this.#endings[shard] = "kill";
        world.bug?.shard?.(opened.shard);
        return opened.shard;
      },
      serve: (opened, broken) => {
        const service = new ShardService(opened, {
          software: "simulation",
          node: this.name,
          number: shard,
          shards: this.disks.length,
          store,
          settings,
          clock: process.clock,
          counts,
          broken,
        });
        if (life.state === "serving") service.setMap(life.map);
        world.bug?.service?.(service);
        return new TappedService(service, world, name);
      },
      transport: world.network.transport(this.name),
      at: { host: this.name, port },
      limits: DEFAULT_SOCKET_LIMITS,
      clock: process.clock,
      report: (event) => this.#report(life, name, event),
    });
  }

  #report(life: Life, shard: string, event: HostEvent): void {
    if (!life.process.alive) return;
    this.#world.tell(shard, () => (event.event === "lost" ? `is lost: ${event.error.message}` : event.event));
    if (event.event === "rebuilding" && event.reason !== planned) this.#bug(event.reason);
    if (event.event === "lost") this.#failed(life, event.error);
  }

  /** A shard does not open: the process ends, and another one is started later. */
  #failed(life: Life, error: unknown): void {
    if (!life.process.alive) return;
    const excused = error instanceof EmbershardError && error.code === "IO";
    if (!excused) this.#bug(error);
    this.#world.tell(this.name, () => `ends: ${(error as Error).message}`);
    this.end("kill");
  }

  #bug(cause: unknown): void {
    this.#world.violate(`node ${this.name}: ${cause instanceof Error ? cause.stack : cause}`);
  }

  /** The process is killed, or the machine loses its power. */
  end(how: "kill" | "power", silently = how === "power"): void {
    const life = this.#life;
    if (!life) return;
    this.#world.tell(this.name, () => (how === "kill" ? "is killed" : "loses its power"));
    this.#life = undefined;
    life.process.kill(silently);
    for (const [shard, disk] of this.disks.entries()) {
      disk.end(how === "power" ? "lost" : "stays");
      if (how === "power") this.#endings[shard] = "power";
    }
    if (how === "power") this.#world.powerWasLost = true;
  }

  /** SIGTERM: drains, checkpoints, closes. */
  async stop(drainMs: number): Promise<void> {
    const life = this.#life;
    if (life?.state !== "serving") return;
    this.#world.tell(this.name, () => "is asked to stop");
    life.state = "stopping";
    life.control.stop();
    // One that is being rebuilt has let go of what nobody was promised.
    const open = life.hosts.map(({ shard }) => shard !== undefined);
    const ended = await Promise.allSettled(
      life.hosts.map((host) => host.stop({ drainMs, checkpoint: true })),
    );
    if (!life.process.alive) return;
    for (const [shard, { status }] of ended.entries())
      if (status === "fulfilled" && open[shard]) this.#endings[shard] = "stop";
    this.end("kill");
  }

  /** Code of a shard throws. */
  breakShard(shard: number): void {
    if (!this.serving) return;
    this.#world.tell(`${this.name}/${shard}`, () => "breaks");
    this.#life!.hosts[shard].fail(new Error(planned));
  }

  /** The map that is in force elsewhere reaches the node. */
  learnMap(map: SlotMap): void {
    const life = this.#life;
    if (!life || life.state === "stopping" || life.map.epoch >= map.epoch) return;
    this.#world.tell(this.name, () => `learns of epoch ${map.epoch}`);
    if (life.state === "serving") this.#putInForce(life, map);
    else life.map = map;
  }

  jumpClock(ms: number): void {
    this.#world.tell(this.name, () => `has its clock set by ${ms.toFixed(0)} ms`);
    this.#life?.process.clock.jump(ms);
  }

  /** Compares all shards with what they must be. */
  async compare(): Promise<void> {
    for (const [shard, host] of this.#life!.hosts.entries()) {
      const opened = host.shard!;
      await this.#models[shard].compare(opened, new EmbeddedStore("memory", opened, async () => {}));
    }
  }
}
