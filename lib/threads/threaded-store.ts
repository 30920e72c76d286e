import { randomUUID } from "node:crypto";
import { totalmem } from "node:os";
import { MessageChannel, type MessagePort } from "node:worker_threads";
import type { Store } from "../api/store-types.js";
import { wakefulClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { type ClientWorld, connectIn } from "../client/open-client.js";
import { inspectDirectory } from "../directory/identity.js";
import { makeDirectory } from "../directory/making.js";
import { forgetOwner, noteOwner } from "../directory/owner.js";
import { readSettings, type StoreOptions } from "../embedded/open-store.js";
import { listenForCommands } from "../embedded/store-control.js";
import { storePath } from "../embedded/store-path.js";
import { portConnecting } from "../net/port-transport.js";
import type { NodeSettings } from "../node/setting-table.js";
import { resolveSettings } from "../node/settings.js";
import { ThreadHandle } from "../node/thread-handle.js";
import { firstMap } from "../ring/placement.js";

const host = "thread";
/** The number that the first shard listens as: 1 would be the control port of a node, which nobody needs here. */
const firstNumber = 2;

/** What messages call who listens as that number. */
const nameOf = ({ port }: { readonly port: number }): string => `shard ${port - firstNumber}`;

/** Opens a store whose shards have a thread each, behind the calls of a store on nodes. */
export async function openThreadedStore(
  given: string,
  shards: number,
  options: StoreOptions,
): Promise<Store> {
  const directory = storePath(given);
  const settings = settingsOf(options);
  const { keepVersions, control, version } = readSettings(options);
  // A version is not made where there is no store.
  if (options.create === false || version !== undefined) await inspectDirectory(directory, { create: false });
  const { placement } = await makeDirectory(directory, { shards });
  if (placement)
    throw new EmbershardError(
      "UNSUPPORTED",
      `${directory} is of node "${placement.node}" of a cluster, whose file says which slots its shards have: serve it with \`embershard serve\` and that file, and ask it with connect()`,
    );
  const threads = new Threads(directory, shards, settings);
  let closeControl = async (): Promise<void> => {};
  let store: Store;
  try {
    await threads.listening();
    await noteOwner(directory, { kind: "threads", threads: shards });
    const world: ClientWorld = {
      transport: portConnecting(threads.doors, nameOf),
      clock: wakefulClock,
      random: Math.random,
      uniqueName: () => `process ${process.pid} ${randomUUID()}`,
      location: directory,
      nameOf,
      keepVersions,
      // Who opened a version alone has nothing else to close.
      ...(version !== undefined && { versionClosed: () => store.close() }),
    };
    store = await connectIn(world, `ember://${host}:${firstNumber}`, { deadlineMs: 0 }, async () => {
      await closeControl();
      await forgetOwner(directory);
      await threads.stop();
    });
  } catch (error) {
    await threads.stop();
    throw error;
  }
  try {
    if (version !== undefined) return await store.openVersion(version);
    if (control) closeControl = await listenForCommands(directory, store, {});
    return store;
  } catch (error) {
    await store.close();
    throw error;
  }
}

class Threads {
  readonly doors = new Map<number, MessagePort>();
  readonly #handles: ThreadHandle[];
  readonly #map;

  constructor(directory: string, shards: number, settings: NodeSettings) {
    this.#map = firstMap([{ name: "node", shards, host, port: firstNumber - 1 }]);
    this.#handles = Array.from({ length: shards }, (_, shard) =>
      this.#start(directory, shard, shards, settings),
    );
  }

  #start(directory: string, shard: number, shards: number, settings: NodeSettings): ThreadHandle {
    const { port1, port2 } = new MessageChannel();
    const port = firstNumber + shard;
    this.doors.set(port, port1);
    const start = {
      directory,
      shard,
      shards,
      node: "node",
      software: "embershard",
      at: { host, port },
      settings,
      door: port2,
    };
    const note = (what: string) =>
      process.emitWarning(`shard ${shard} of ${directory} ${what}`, "EmbershardWarning");
    return new ThreadHandle(start, new URL("./shard-thread.js", import.meta.url), {
      rebuilding: (_, reason) => note(`broke and is opened again: ${reason}`),
      rebuilt: (_, ms) => note(`is open again after ${ms} ms`),
      lost: (_, error) => {
        this.doors.get(port)?.close();
        this.doors.delete(port);
        note(`is gone: ${error.message}`);
      },
    });
  }

  /** Resolves when all shards are open. @throws what the first that does not open throws */
  async listening(): Promise<void> {
    const opened = await Promise.allSettled(this.#handles.map((handle) => handle.listening()));
    for (const one of opened) if (one.status === "rejected") throw one.reason;
    for (const handle of this.#handles) handle.tellMap(this.#map);
  }

  /** Ends all threads: what is under way settles, the log is made durable. @throws what went wrong */
  async stop(): Promise<void> {
    const ended = await Promise.allSettled(
      this.#handles.map((handle) => handle.stop({ drainMs: 0, checkpoint: false })),
    );
    for (const door of this.doors.values()) door.close();
    for (const one of ended) if (one.status === "rejected") throw one.reason;
  }
}

/** A node's settings, from a store's options. Who reads a version writes nothing. @throws INVALID_OPTIONS */
function settingsOf(options: StoreOptions): NodeSettings {
  const { arenaBytes, hugePages, logBufferBytes, version, ...read } = readSettings(options);
  const checkpoint = version === undefined ? read.checkpoint : undefined;
  const { settings } = resolveSettings({ flags: {} }, { memoryBytes: totalmem() });
  return {
    ...settings,
    // Callers of the same process need no protection from each other.
    memoryBytes: 2 ** 46,
    inFlightBytes: 2 ** 40,
    connectionBytes: 2 ** 30,
    arenaBytes,
    hugePages,
    ...(logBufferBytes !== undefined && { logBufferBytes }),
    checkpointEveryMs: checkpoint?.everyMs ?? 0,
    checkpointLogBytes: checkpoint ? checkpoint.everyLogBytes : Number.MAX_SAFE_INTEGER,
  };
}
