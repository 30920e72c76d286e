import type { MessagePort } from "node:worker_threads";
import { systemClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { openShardOf, type ShardSettings } from "../directory/shard-opening.js";
import type { ListeningTransport } from "../net/connection.js";
import type { SlotMap } from "../ring/slot-map.js";
import { RateMeter } from "./rate-meter.js";
import type { NodeSettings } from "./setting-table.js";
import { noCounts } from "./shard-figures.js";
import { ShardHost } from "./shard-host.js";
import { ShardService } from "./shard-service.js";
import { socketLimits } from "./socket-limits.js";
import { figuresOf } from "./thread-figures.js";
import type { FromThread, ThreadStart, ToThread } from "./thread-messages.js";

/** Makes the transport that a thread listens with; `failed` is told what was thrown in it. */
export type TransportFactory = (failed: (error: unknown) => void) => ListeningTransport;

/** Lives the life of a shard's thread. `port` leads to the main thread; `ended` is told when nothing is open any more. */
export function runShardThread(
  port: MessagePort,
  start: ThreadStart,
  transport: TransportFactory,
  ended: () => void = () => {},
): void {
  const { settings, directory, shard: number, shards, node, software } = start;
  const say = (message: FromThread) => port.postMessage(message);
  const counts = noCounts();
  const meter = new RateMeter(counts, systemClock);
  let map: SlotMap | undefined;
  let store = "";
  const host: ShardHost<ShardService> = new ShardHost<ShardService>({
    open: async () => {
      const { shard, identity } = await openShardOf(directory, number, shardSettings(settings), shards);
      store = identity.id;
      return shard;
    },
    serve: (shard, broken) => {
      const service = new ShardService(shard, {
        software,
        node,
        store,
        number,
        shards,
        settings,
        clock: systemClock,
        counts,
        broken,
      });
      if (map) service.setMap(map);
      return service;
    },
    transport: transport((error) => host.fail(error)),
    at: start.at,
    limits: socketLimits(settings),
    clock: systemClock,
    report: (event) => {
      if (event.event === "lost")
        end({ say: "failed", code: event.error.code, message: event.error.message });
      else if (event.event === "rebuilt") say({ say: "rebuilt", rebuilds: event.rebuilds, ms: event.ms });
      else say({ say: "rebuilding", rebuilds: event.rebuilds, reason: event.reason });
    },
  });

  /** Nothing is open any more: the thread ends when its port is closed. */
  function end(last: FromThread): void {
    say(last);
    ended();
    port.close();
  }

  process.on("uncaughtException", (error) => {
    if (host.fail(error)) return;
    const last: FromThread = { say: "failed", code: "INTERNAL", message: `${error.message}` };
    host.abandon().then(
      () => end(last),
      () => end(last),
    );
  });

  port.on("message", (message: ToThread) => {
    switch (message.tell) {
      case "map":
        map = message.map;
        host.service?.setMap(map);
        return;
      case "figures":
        say({ say: "figures", figures: figuresOf(host, number, counts, meter) });
        return;
      case "stop":
        host.stop(message).then(
          () => end({ say: "stopped" }),
          (error) => end(failed(error)),
        );
    }
  });

  host.start().then(
    () => say({ say: "listening", port: host.port, store, replayed: host.shard?.replayed ?? 0 }),
    (error) => end(failed(error)),
  );
}

function failed(error: unknown): FromThread {
  if (error instanceof EmbershardError) return { say: "failed", code: error.code, message: error.message };
  return { say: "failed", code: "INTERNAL", message: error instanceof Error ? error.message : String(error) };
}

function shardSettings(settings: NodeSettings): ShardSettings {
  const { arenaBytes, hugePages, logBufferBytes, checkpointEveryMs, checkpointLogBytes, sessionExpiryMs } =
    settings;
  return {
    arenaBytes,
    hugePages,
    logBufferBytes,
    checkpoint: {
      everyMs: checkpointEveryMs === 0 ? never : checkpointEveryMs,
      everyLogBytes: checkpointLogBytes,
    },
    workerExpiryMs: sessionExpiryMs,
  };
}

/** The longest time that a timer takes: 25 days. */
const never = 2 ** 31 - 1;
