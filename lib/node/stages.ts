// Requests that all shards do at one instant: each says how far it is, and waits until it is told to proceed.
import type { EmbershardError } from "../base/errors.js";
import type { Companion } from "../shard/together.js";
import { jsonOf } from "./request-context.js";
import type { ServedConnection } from "./served-connection.js";

/** Tells whoever asked of each stage. `signal` ends the waiting. */
export function companionOf(id: number, connection: ServedConnection, signal: AbortSignal): Companion {
  const say = (stage: string) => connection.reply(id, { kind: "Report", json: jsonOf({ stage }) }, true);
  const reach = (stage: string) =>
    new Promise<void>((resolve, reject) => {
      const end = () => {
        connection.waiting.delete(id);
        reject(signal.reason as EmbershardError);
      };
      if (signal.aborted) return end();
      signal.addEventListener("abort", end, { once: true });
      connection.waiting.set(id, () => {
        signal.removeEventListener("abort", end);
        resolve();
      });
      say(stage);
    });
  return {
    begun: () => say("begun"),
    ready: () => reach("ready"),
    still: () => reach("still"),
    written: () => reach("written"),
  };
}
