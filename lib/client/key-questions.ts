// Questions about keys that are not for rows: whether they have one, how often they were pushed.
import { EmbershardError } from "../base/errors.js";
import type { Cluster } from "./cluster.js";
import { frontBytes, partBytes } from "./exchange.js";
import type { PlanMemories, PlanMemory } from "./plan-memory.js";
import type { RemoteTable } from "./remote-table.js";
import type { Requests } from "./requests.js";
import { beginOf, type Route, routeBySlot, routeBytes } from "./routing.js";

/** Keys of one frame, at most. */
const mostKeys = 32_768;

/** Asks about each key, and writes the answers in the order of the keys: u8[n] of 0 and 1, or u32[n]. */
export async function askOfKeys(
  requests: Requests,
  memories: PlanMemories,
  table: RemoteTable,
  keys: BigUint64Array,
  kind: "Contains" | "Occurrences",
  into: Uint8Array | Uint32Array,
): Promise<void> {
  await forEachFrame(requests, memories, table, keys, async (owner, part, own, order) => {
    const put = (values: ArrayLike<number>) => {
      if (values.length < own.length)
        throw new EmbershardError("BAD_FRAME", `found ${values.length} answers, expected ${own.length}`);
      for (let i = 0; i < own.length; i++) into[order[i]] = values[i];
    };
    if (kind === "Contains")
      await requests.ask(
        owner,
        { kind, parts: [part], keys: own },
        "Found",
        ({ found, count }) => put(Array.from({ length: count }, (_, i) => (found[i >> 3] >> (i & 7)) & 1)),
        { bytes: 8 * own.length },
      );
    else
      await requests.ask(
        owner,
        { kind, parts: [part], keys: own },
        "OccurrenceCounts",
        ({ counts }) => put(counts),
        { bytes: 12 * own.length },
      );
  });
}

/** Has shards read cold rows of keys ahead. */
export async function prefetchKeys(
  requests: Requests,
  memories: PlanMemories,
  table: RemoteTable,
  keys: BigUint64Array,
): Promise<void> {
  await forEachFrame(requests, memories, table, keys, async (owner, part, own) => {
    await requests.ask(owner, { kind: "Prefetch", parts: [part], keys: own }, "Done", () => undefined, {
      bytes: 8 * own.length,
    });
  });
}

type Ask = (
  owner: number,
  part: { readonly table: bigint; readonly fingerprint: bigint; readonly count: number },
  keys: BigUint64Array,
  order: Uint32Array,
) => Promise<void>;

async function forEachFrame(
  { cluster }: Requests,
  memories: PlanMemories,
  { id: table, fingerprint, placement }: RemoteTable,
  keys: BigUint64Array,
  ask: Ask,
): Promise<void> {
  const frames: Promise<void>[] = [];
  const fitting = Math.floor((cluster.frameBytes - frontBytes - partBytes) / 8);
  const frameKeys = Math.min(mostKeys, fitting);
  const memory = memories.take(8 * keys.length + routeBytes(keys.length) + 64);
  try {
    const route = routed(memory, cluster, placement, keys);
    const { u64 } = memory;
    const order = orderOf(memory, route);
    for (const owner of cluster.owners) {
      const end = route.ends[owner];
      for (let from = beginOf(route, owner); from < end; from += frameKeys) {
        const to = Math.min(end, from + frameKeys);
        const own = u64.slice(route.keys / 8 + from, route.keys / 8 + to);
        frames.push(ask(owner, { table, fingerprint, count: to - from }, own, order.subarray(from, to)));
      }
    }
  } finally {
    memories.give(memory);
  }
  const settled = await Promise.allSettled(frames);
  for (const one of settled) if (one.status === "rejected") throw one.reason;
}

function routed(memory: PlanMemory, cluster: Cluster, placement: bigint, keys: BigUint64Array): Route {
  const n = keys.length;
  const at = memory.take(8 * n);
  memory.u64.set(keys, at / 8);
  return routeBySlot(memory, cluster, placement, at, n);
}

/** By place in the order: where its key was given. */
function orderOf({ u32 }: PlanMemory, { n, places }: Route): Uint32Array {
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i++) order[u32[places / 4 + i]] = i;
  return order;
}
