import type { Store, Table, Tensor } from "../../lib/api/store-types.js";
import { EmbershardError } from "../../lib/index.js";
import { markOf, type Operation, tensor, tensorName } from "./operations.js";

/** Does operations to a store. Calls take effect in the order in which they are made. */
export class Performer {
  readonly store: Store;
  readonly #tables = new Map<string, Table>();
  #tensor: Tensor | undefined;

  private constructor(store: Store) {
    this.store = store;
  }

  static async over(store: Store): Promise<Performer> {
    const performer = new Performer(store);
    for (const { name, shape } of await store.tables()) {
      if (shape) performer.#tensor = await store.tensor(name, tensor);
      else performer.#tables.set(name, await store.table(name));
    }
    return performer;
  }

  /** Performs operation number `i`; resolves when it is acknowledged. */
  async perform(operation: Operation, i: number): Promise<void> {
    const mark = markOf(i);
    switch (operation.kind) {
      case "push":
        return this.#push(operation, mark);
      case "assign": {
        const { part, state, history, ack } = operation;
        const columns = { ...(state && { state }), ...history };
        return this.#table(part.table).assign(part.keys, part.values, { ack, mark, ...columns });
      }
      case "delete":
        await this.#table(operation.table).delete(operation.keys, { ack: operation.ack, mark });
        return;
      case "create":
        await this.#table(operation.table).pull(operation.keys, { create: true });
        return;
      case "tensor": {
        const { from, values, ack } = operation;
        return this.#tensor!.push(values, { from, to: from + values.length, ack, mark });
      }
      case "open":
        this.#tables.set(operation.table, await this.store.table(operation.table, operation.options));
        return;
      case "openTensor":
        this.#tensor = await this.store.tensor(tensorName, tensor);
        return;
      case "drop":
        return this.store.dropTable(operation.table);
    }
  }

  #push({ parts, ack, step }: Extract<Operation, { kind: "push" }>, mark: Uint8Array): Promise<void> {
    if (parts.length === 1) {
      const [{ table, keys, values }] = parts;
      return this.#table(table).push(keys, values, { ack, mark, step });
    }
    const requests = parts.map(({ table, keys, values }) => ({
      table: this.#table(table),
      keys,
      gradients: values,
    }));
    return this.store.push(requests, { ack, mark, step });
  }

  #table(name: string): Table {
    const table = this.#tables.get(name);
    if (!table) throw new EmbershardError("INTERNAL", `operations use table ${name} before they open it`);
    return table;
  }
}
