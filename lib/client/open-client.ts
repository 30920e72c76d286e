import { randomUUID } from "node:crypto";
import { CheckedStore } from "../api/checked-store.js";
import type { Store } from "../api/store-types.js";
import { type Clock, systemClock, wakefulClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import type { Address, ConnectingTransport } from "../net/connection.js";
import { streamTransport } from "../net/stream-transport.js";
import { parseAddress } from "./address.js";
import { type ConnectOptions, readClientOptions } from "./client-options.js";
import { Cluster } from "./cluster.js";
import { VersionOpening } from "./open-version.js";
import { PlanMemories } from "./plan-memory.js";
import { type OpenVersion, RemoteBackend } from "./remote-backend.js";
import { Requests } from "./requests.js";

/** What a client takes from the world around it. */
export interface ClientWorld {
  readonly transport: ConnectingTransport;
  readonly clock: Clock;
  /** From 0 to 1. */
  readonly random: () => number;
  /** A name that no other worker has. */
  readonly uniqueName: () => string;
  /** What the store is called, instead of its address. */
  readonly location?: string;
  /** What messages call who listens at an address; unless given its node, shard and address. */
  readonly nameOf?: (at: Address) => string;
  /** Versions that there may be over several shards, where a checkpoint does not say. */
  readonly keepVersions?: number | undefined;
  /** Waited for when a version has been closed that was opened with the store. */
  readonly versionClosed?: () => Promise<void>;
  /** Bytes of rows that one frame of a write brings, about, unless the usual. */
  readonly writeFrameBytes?: number | undefined;
  /** Where batches are planned; memories of its own unless given. */
  readonly memories?: PlanMemories;
}

/** A client over sockets. */
export async function openClient(address: string, options: ConnectOptions): Promise<Store> {
  const transport = streamTransport({
    clock: systemClock,
    failed: (cause) =>
      process.emitWarning(cause instanceof Error ? cause : String(cause), "EmbershardWarning"),
  });
  const uniqueName = () => `worker ${randomUUID()}`;
  return connectIn({ transport, clock: wakefulClock, random: Math.random, uniqueName }, address, options);
}

/** As `connect`, in a world that is given: simulations bring their own. `closed` is waited for when the store is closed. */
export async function connectIn(
  world: ClientWorld,
  address: string,
  options: ConnectOptions,
  closed: () => Promise<void> = async () => {},
): Promise<Store> {
  const seeds = parseAddress(address);
  const settings = readClientOptions(options);
  const { transport, clock, random, nameOf } = world;
  const worker = settings.worker ?? world.uniqueName();
  const session = settings.session ?? newSession(clock.now(), random);
  const { deadlineMs, tries, transfer } = settings;
  const { location = address, memories = new PlanMemories() } = world;
  const calls = { clock, random, deadlineMs, tries };
  const openVersion: OpenVersion = async (version, generations, closed) => {
    const { begin } = new VersionOpening(version, generations);
    const reading = { worker: undefined, session: 0n, begin };
    const cluster = new Cluster({ seeds, transport, clock, settings, nameOf, ...reading });
    const requests = new Requests(cluster, calls);
    try {
      await openWithin(cluster, clock, deadlineMs);
      // Every shard has it in memory from now on.
      await requests.askAll({ kind: "GetSlotMap" }, "SlotMap", () => undefined);
    } catch (error) {
      cluster.close();
      throw error;
    }
    const over = async () => {
      await closed();
      await world.versionClosed?.();
    };
    const parts = { session: 0n, transfer, memories, version, openVersion, closed: over };
    return new CheckedStore(new RemoteBackend(location, requests, parts));
  };
  const cluster = new Cluster({ seeds, transport, clock, settings, nameOf, worker, session });
  await openWithin(cluster, clock, deadlineMs);
  const requests = new Requests(cluster, calls);
  const { keepVersions, writeFrameBytes } = world;
  const parts = { session, transfer, memories, openVersion, keepVersions, writeFrameBytes, closed };
  return new CheckedStore(new RemoteBackend(location, requests, parts));
}

/** Rises with the time. Clients of the same millisecond differ by the random bits below it. */
function newSession(nowMs: number, random: () => number): bigint {
  return (BigInt(Math.floor(nowMs)) << 20n) | BigInt(Math.floor(random() * 2 ** 20));
}

/** Nodes may be starting: asks again until one answers or the time is over. */
async function openWithin(cluster: Cluster, clock: Clock, deadlineMs: number): Promise<void> {
  const until = deadlineMs === 0 ? Number.POSITIVE_INFINITY : clock.elapsed() + Math.min(deadlineMs, 5000);
  for (let waitMs = 20; ; waitMs = Math.min(2 * waitMs, 500)) {
    try {
      return await cluster.open();
    } catch (error) {
      const again = error instanceof EmbershardError && error.retry && clock.elapsed() + waitMs < until;
      if (!again) throw error;
      await new Promise<void>((resolve) => clock.after(waitMs, resolve));
    }
  }
}
