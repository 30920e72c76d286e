// The process of a node: starts it, says what happens, stops it when it is told to.
import { systemClock } from "../base/clock.js";
import { EmbershardError } from "../base/errors.js";
import { uWebSocketTransport } from "../net/uwebsockets-transport.js";
import { RunningNode } from "../node/node.js";
import type { NodeSettings } from "../node/settings.js";
import { StopOrders } from "../node/stop-orders.js";
import { crashed } from "../node/supervisor.js";
import type { NodeLog } from "./node-log.js";

const threadModule = new URL("../node/shard-thread.js", import.meta.url);
/** A node that is told twice to stop gets so long for it. */
const forcedMs = 3000;

/** Runs a node until it is told to stop; gives the exit code. */
export async function runNode(settings: NodeSettings, software: string, log: NodeLog): Promise<number> {
  let stop = (_: string): void => {};
  const told = new Promise<string>((resolve) => {
    stop = resolve;
  });
  const orders = listenForOrders((order) => stop(order));
  try {
    const node = await RunningNode.start(settings, {
      transport: (failed) => uWebSocketTransport({ clock: systemClock, failed }),
      threadModule,
      clock: systemClock,
      software,
      say: (event) => log.event(event),
    });
    log.started(await node.status());
    const ending = await Promise.race([told, node.lost]);
    if (ending instanceof EmbershardError) {
      log.failed(ending);
      await node.abandon().catch(() => undefined);
      return crashed;
    }
    orders.again(() => {
      // Whatever it is in the middle of: what was acknowledged is in the log, and nothing may end with an open listener.
      log.line("told to stop again: it ends at once");
      setTimeout(() => process.kill(process.pid, "SIGKILL"), forcedMs);
      node.abandon().then(
        () => process.exit(1),
        () => process.exit(1),
      );
    });
    await node.stop();
    return 0;
  } finally {
    orders.end();
  }
}

/** SIGTERM, SIGINT, and a supervisor that is gone are orders to stop. */
function listenForOrders(order: (what: string) => void): { again(then: () => void): void; end(): void } {
  let second: (() => void) | undefined;
  const orders = new StopOrders(systemClock, order, () => second?.());
  const onTerm = () => orders.take("SIGTERM");
  const onInt = () => orders.take("SIGINT");
  const onGone = () => order("the supervisor is gone");
  process.on("SIGTERM", onTerm).on("SIGINT", onInt).on("disconnect", onGone);
  return {
    again(then) {
      second = then;
    },
    end() {
      process.off("SIGTERM", onTerm).off("SIGINT", onInt).off("disconnect", onGone);
      if (process.connected) process.disconnect();
    },
  };
}
