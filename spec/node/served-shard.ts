// A shard that is served without sockets.
import { EmbershardError } from "../../lib/base/errors.js";
import type { NodeSettings } from "../../lib/node/setting-table.js";
import { resolveSettings } from "../../lib/node/settings.js";
import { noCounts, type ServiceCounts } from "../../lib/node/shard-figures.js";
import { ShardService } from "../../lib/node/shard-service.js";
import { firstMap } from "../../lib/ring/placement.js";
import type { SlotMap } from "../../lib/ring/slot-map.js";
import type { Shard, ShardOptions } from "../../lib/shard/shard.js";
import type { TableReply, WritePartInput } from "../../lib/wire/generated/frame-types.js";
import { MemoryDisk } from "../embedded/memory-store.js";
import { TestClock } from "./test-clock.js";
import { WirePeer } from "./wire-peer.js";

export const machine = { memoryBytes: 8 * 2 ** 30 };

export function settingsOf(given: Partial<Record<keyof NodeSettings, unknown>> = {}): NodeSettings {
  return resolveSettings({ flags: given }, machine).settings;
}

export class ServedShard {
  readonly disk: MemoryDisk;
  readonly clock = new TestClock();
  readonly counts: ServiceCounts = noCounts();
  readonly settings: NodeSettings;
  /** What the service reported as broken. */
  readonly broken: unknown[] = [];
  shard!: Shard;
  service!: ShardService;

  constructor(settings: Partial<Record<keyof NodeSettings, unknown>> = {}, seed = 1) {
    this.settings = settingsOf(settings);
    this.disk = new MemoryDisk(seed);
  }

  /** Opens what the disk has, and serves it. */
  async open(options: Partial<ShardOptions> = {}, map: SlotMap = wholeMap()): Promise<this> {
    await this.disk.open(options);
    this.shard = this.disk.shard!;
    this.service = new ShardService(this.shard, {
      software: "spec",
      node: "node",
      number: 0,
      shards: 1,
      store: "07".repeat(16),
      settings: this.settings,
      clock: this.clock,
      counts: this.counts,
      broken: (cause) => this.broken.push(cause),
    });
    this.service.setMap(map);
    return this;
  }

  /** A connection that has not said hello. */
  dial(): WirePeer {
    return new WirePeer((connection) => this.service.accept(connection));
  }

  /** A connection that has. */
  async connect(hello: Parameters<WirePeer["hello"]>[0] = {}): Promise<WirePeer> {
    const peer = this.dial();
    await peer.hello(hello);
    return peer;
  }

  async kill(): Promise<void> {
    this.disk.kill();
  }
}

/** One shard that has all slots. */
export function wholeMap(epoch = 1): SlotMap {
  return { ...firstMap([{ name: "node" }]), epoch };
}

/** What a refusal must be. */
export async function codeOf(work: Promise<unknown>): Promise<string | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof EmbershardError) return error.code;
    throw error;
  }
}

/** What requests name a table by. */
export function named({ id, fingerprint }: TableReply): { table: bigint; fingerprint: bigint } {
  return { table: id, fingerprint };
}

/** A part of a write. */
export function writePart(
  table: TableReply,
  count: number,
  more: Partial<WritePartInput> = {},
): WritePartInput {
  return { ...named(table), count, dim: table.dim, ...more };
}

export const keysFrom = (first: number, n: number) =>
  BigUint64Array.from({ length: n }, (_, i) => BigInt(first + i));
