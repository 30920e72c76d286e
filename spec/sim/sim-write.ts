// Calls of workers, as they made them: what the shards must have done.
import type { Ack } from "../../lib/api/table-definition.js";

/** What a write brings to one table. */
export interface SimPart {
  readonly table: string;
  readonly keys: BigUint64Array;
  /** Gradients or weights. */
  readonly values: Float32Array;
}

/** One write of a worker. */
export interface SimWrite {
  readonly worker: string;
  readonly session: bigint;
  /** As the client numbers its writes: from 1, in the order of the calls. */
  readonly sequence: number;
  readonly kind: "push" | "assign" | "delete" | "evict";
  /** Of an eviction, which takes nothing, none. */
  readonly parts: readonly SimPart[];
  readonly step: number;
  readonly ack: Ack;
}

/** "w1.2 #17" */
export function nameOfWrite({
  worker,
  session,
  sequence,
}: Pick<SimWrite, "worker" | "session" | "sequence">): string {
  return `${worker}.${session} #${sequence}`;
}

/** What is known of it: "push #17 of sums 1 2 3, ack os" */
export function textOfWrite({ kind, sequence, parts, ack }: SimWrite): string {
  const tables = parts.map(({ table, keys }) => `${table} ${[...keys].join(" ")}`);
  return `${kind} #${sequence} of ${tables.join(", ")}; ack ${ack}`;
}
