// What a client knows of the nodes: the slot map, and a connection to each shard that it has had to do with.
import type { Clock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { type Address, type ConnectingTransport, DEFAULT_CONNECT_OPTIONS } from "../net/connection.js";
import { Routes } from "../ring/routes.js";
import type { Owner, SlotMap } from "../ring/slot-map.js";
import type { HelloInput, Welcome, SlotMap as WireSlotMap } from "../wire/generated/frame-types.js";
import { featureBits, PROTOCOL } from "../wire/handshake.js";
import { Channel, unexpected } from "./channel.js";
import { noteConnection, noteMap } from "./client-events.js";
import type { ClientSettings } from "./client-options.js";
import { slotMapOf } from "./slot-maps.js";

/** Slots that this version's kernel tells keys by. */
const slotCount = 16_384;
const features = featureBits("f16", "bf16", "int8", "counters", "versions", "watch");

export interface ClusterOptions {
  readonly seeds: readonly Address[];
  readonly transport: ConnectingTransport;
  readonly clock: Clock;
  readonly settings: ClientSettings;
  /** Who pushes; undefined: nobody does. */
  readonly worker: string | undefined;
  readonly session: bigint;
  /** What messages call who listens at an address; unless given its node, shard and address. */
  readonly nameOf?: ((at: Address) => string) | undefined;
  /** Does what comes first on a new connection to a shard; when it throws, that is not used. */
  readonly begin?: (channel: Channel) => Promise<void>;
}

/** A shard, and the connection to it. */
interface Link {
  address: Address;
  channel: Channel | undefined;
  opening: Promise<Channel> | undefined;
  /** This session has sent writes to it. */
  wrote: boolean;
}

export class Cluster {
  readonly #options: ClusterOptions;
  readonly #links = new Map<string, Link>();
  readonly #channels = new Set<Channel>();
  #map: SlotMap | undefined;
  #routes: Routes | undefined;
  #owners: readonly number[] | undefined;
  /** Identities of the nodes' stores, by the names of nodes. */
  readonly #stores = new Map<string, string>();
  #control: Channel | undefined;
  #frameBytes = DEFAULT_CONNECT_OPTIONS.messageBytes;
  #refreshing: Promise<void> | undefined;
  /** Aborted when it is closed, with all attempts to connect. */
  readonly #closing = new AbortController();

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  /** Asks the nodes, one after the other, until one answers. @throws UNAVAILABLE that says what each said; PROTOCOL */
  async open(): Promise<void> {
    await this.#openControl();
  }

  get map(): SlotMap {
    if (!this.#map)
      throw new EmbershardError("INTERNAL", "broken invariant: the slot map is asked for before opening");
    return this.#map;
  }

  get routes(): Routes {
    this.#routes ??= new Routes(this.map);
    return this.#routes;
  }

  /** Owners that have slots. */
  get owners(): readonly number[] {
    if (!this.#owners) {
      const { endOf } = this.routes;
      this.#owners = [...endOf.keys()].filter((owner) => endOf[owner] > (owner === 0 ? 0 : endOf[owner - 1]));
    }
    return this.#owners;
  }

  /** Bytes of the longest frame that all nodes take, by what they have said. */
  get frameBytes(): number {
    return this.#frameBytes;
  }

  /** Bytes of rows or keys that a frame is to have, about: with what else is in it, it is to fit. */
  get bulkBytes(): number {
    return 0.75 * this.#frameBytes;
  }

  ownerName(owner: number): string {
    return this.#nameOf(this.map.owners[owner]);
  }

  #nameOf(owner: Owner): string {
    return this.#options.nameOf?.(owner) ?? nameOf(owner);
  }

  get #closed(): boolean {
    return this.#closing.signal.aborted;
  }

  /** @throws CLOSED */
  demandOpen(): void {
    if (this.#closed) throw new EmbershardError("CLOSED", "the store is closed");
  }

  /** Takes a map that a node has sent, if it is later than what is known. */
  adopt(wire: WireSlotMap): void {
    const map = slotMapOf(wire);
    if (map.ownerOf.length !== slotCount)
      throw new EmbershardError(
        "UNSUPPORTED",
        `the cluster has ${map.ownerOf.length} slots; this version knows ${slotCount}`,
      );
    if (this.#map && map.epoch < this.#map.epoch) return;
    const changed = this.#map?.epoch !== map.epoch;
    this.#map = map;
    if (!changed) return;
    this.#routes = undefined;
    this.#owners = undefined;
    noteMap(map.epoch, map.owners.length);
  }

  /** The connection to an owner, at once if there is one. @throws UNAVAILABLE, PROTOCOL, FENCED, SESSION_EXPIRED, CLOSED */
  channel(owner: number): Channel | Promise<Channel> {
    this.demandOpen();
    const { node, shard, host, port } = this.map.owners[owner];
    const key = `${node}/${shard}`;
    let link = this.#links.get(key);
    if (!link) {
      link = { address: { host, port }, channel: undefined, opening: undefined, wrote: false };
      this.#links.set(key, link);
    }
    const moved = link.address.host !== host || link.address.port !== port;
    link.address = { host, port };
    if (link.channel && !link.channel.ended && !moved) return link.channel;
    link.opening ??= this.#openLink(link, owner).finally(() => {
      link.opening = undefined;
    });
    return link.opening;
  }

  /** The connection to an owner, if there is one. */
  openChannel(owner: number): Channel | undefined {
    const { node, shard } = this.map.owners[owner];
    const channel = this.#links.get(`${node}/${shard}`)?.channel;
    return this.#closed || channel?.ended ? undefined : channel;
  }

  /** Notes that writes are on their way to an owner: a later connection has to say so. */
  noteWrite(owner: number): void {
    const { node, shard } = this.map.owners[owner];
    const link = this.#links.get(`${node}/${shard}`);
    if (link) link.wrote = true;
  }

  async #openLink(link: Link, owner: number): Promise<Channel> {
    const { map } = this;
    const of = map.owners[owner];
    try {
      const channel = await this.#connect(link.address, this.#nameOf(of), {
        worker: this.#options.worker,
        session: this.#options.session,
        resume: link.wrote,
      });
      const { shard, node } = channel.welcome;
      if (shard !== of.shard || (node !== undefined && node !== of.node)) {
        channel.close();
        throw new EmbershardError(
          "UNAVAILABLE",
          `${this.#nameOf(of)}: node ${node ?? "?"}, shard ${shard ?? "none"} answers there`,
        );
      }
      await this.#begin(channel);
      link.channel = channel;
      return channel;
    } catch (error) {
      // It may be elsewhere by now.
      if (error instanceof EmbershardError && error.code === "UNAVAILABLE")
        await this.refresh().catch(() => {});
      throw error;
    }
  }

  async #begin(channel: Channel): Promise<void> {
    try {
      await this.#options.begin?.(channel);
    } catch (error) {
      channel.close();
      throw error;
    }
  }

  /** Fetches the slot map. @throws UNAVAILABLE */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#fetchMap().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #fetchMap(): Promise<void> {
    const control = this.#control;
    if (!control || control.ended) return this.#openControl();
    await new Promise<void>((resolve, reject) => {
      control.request(
        { kind: "GetSlotMap" },
        {},
        {
          answer: ({ body }) => {
            if (body.kind !== "SlotMap") throw unexpected(control.name, body.kind, "SlotMap");
            this.adopt(body);
            resolve();
          },
          failed: reject,
        },
      );
    });
  }

  /** Control ports: those that were named, then those of nodes that became known. */
  async #openControl(): Promise<void> {
    const { seeds, nameOf } = this.#options;
    const failures: string[] = [];
    for (const seed of seeds) {
      this.demandOpen();
      try {
        this.#control = await this.#connect(seed, nameOf?.(seed) ?? `node at ${seed.host}:${seed.port}`, {});
        return;
      } catch (cause) {
        if (!(cause instanceof EmbershardError) || !cause.retry) throw cause;
        failures.push(cause.message);
      }
    }
    throw new EmbershardError("UNAVAILABLE", `no node answers: ${failures.join("; ")}`);
  }

  async #connect(address: Address, name: string, who: Partial<HelloInput>): Promise<Channel> {
    const { transport, clock, settings } = this.#options;
    const hello: HelloInput = {
      kind: "Hello",
      ...PROTOCOL,
      features,
      software: "embershard client",
      frameBytes: DEFAULT_CONNECT_OPTIONS.messageBytes,
      ...who,
    };
    let open = false;
    const channel = new Channel(name, hello, (error) => {
      this.#channels.delete(channel);
      if (open) noteConnection(name, false, error);
    });
    const { connectMs: timeoutMs, mask, polling } = settings;
    // Known from the beginning, so that it ends with the store though nobody answers.
    this.#channels.add(channel);
    const cancelTimer = clock.after(timeoutMs, () =>
      channel.close(
        new EmbershardError("DEADLINE", `${name} did not answer the greeting within ${timeoutMs} ms`),
      ),
    );
    try {
      const connection = await transport.connect(address, channel, {
        ...DEFAULT_CONNECT_OPTIONS,
        timeoutMs,
        mask,
        polling,
        signal: this.#closing.signal,
      });
      await channel.open(connection);
      open = true;
      noteConnection(name, true);
      this.demandOpen();
      this.#demandStore(channel.welcome, name);
      this.#frameBytes = Math.min(this.#frameBytes, channel.welcome.limits.frameBytes);
      this.adopt(channel.welcome.slotMap);
      return channel;
    } catch (error) {
      channel.close(error instanceof EmbershardError ? error : undefined);
      this.demandOpen();
      throw error;
    } finally {
      cancelTimer();
    }
  }

  /** Another store behind the same node is another model. Each node of a cluster has one of its own. */
  #demandStore({ node = "", store }: Welcome, name: string): void {
    if (store === undefined) return;
    const known = this.#stores.get(node) ?? store;
    this.#stores.set(node, known);
    if (known === store) return;
    throw new EmbershardError(
      "PROTOCOL",
      `${name} serves store ${store}, this client was connected to store ${known}: connect anew`,
    );
  }

  close(): void {
    this.#closing.abort();
    for (const channel of [...this.#channels]) channel.close();
  }
}

function nameOf({ node, shard, host, port }: Owner): string {
  return `node ${node}, shard ${shard} (${host}:${port})`;
}
