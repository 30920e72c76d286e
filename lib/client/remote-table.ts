import type { TableHandle } from "../api/backend.js";
import { stateFloats } from "../api/optimizers.js";
import { parseDefinition, type TableDefinition } from "../api/table-definition.js";
import { elementOf } from "../wire/columns.js";
import { ElementType, type TableReply } from "../wire/generated/frame-types.js";
import type { Transfer } from "./client-options.js";

/** A table as its nodes know it. */
export class RemoteTable implements TableHandle {
  readonly id: bigint;
  readonly fingerprint: bigint;
  /** Seed of the hash that says a key's slot. */
  readonly placement: bigint;
  readonly dim: number;
  readonly stateFloats: number;
  /** Names of counters of rows. */
  readonly counters: readonly string[];
  /** What weights come as in pulls. */
  readonly element: ElementType;
  /** What gradients go as. */
  readonly gradients: ElementType;
  definition: TableDefinition;
  dropped = false;
  /** Gradients that this client left out because they were not finite. */
  skipped = 0;

  constructor(reply: TableReply, transfer: Transfer) {
    this.definition = parseDefinition(JSON.parse(reply.definition));
    this.id = reply.id;
    this.fingerprint = reply.fingerprint;
    this.placement = reply.placement;
    this.dim = reply.dim;
    this.stateFloats = stateFloats(this.definition.optimizer, reply.dim);
    this.element = elementOf(transfer[reply.tensor ? "tensors" : "tables"]);
    this.gradients = reply.tensor ? ElementType.F32 : elementOf(transfer.gradients);
    this.counters = this.definition.counters?.names ?? [];
  }
}
