import { splitCounters } from "../api/counter-columns.js";
import type { ChangeBatch } from "../api/row-batches.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { ReadPage } from "./image-reader.js";

/** Collects rows of one table. */
export class ChangeCollector {
  readonly table: string;
  readonly #capacity: number;
  readonly #dim: number;
  readonly #stateFloats: number;
  readonly #counterNames: readonly string[];
  #n = 0;
  #keys!: BigUint64Array;
  #rows!: Float32Array;
  #state!: Float32Array;
  #frequency!: Uint32Array;
  #lastStep!: Uint32Array;
  #counters!: Float32Array;
  #added!: Uint8Array;
  #distance!: Float64Array;

  constructor({ definition, dim, stateFloats }: ArenaTable, capacity: number) {
    this.table = definition.name;
    this.#counterNames = definition.counters?.names ?? [];
    this.#dim = dim;
    this.#stateFloats = stateFloats;
    this.#capacity = capacity;
    this.#renew();
  }

  get full(): boolean {
    return this.#n === this.#capacity;
  }

  get empty(): boolean {
    return this.#n === 0;
  }

  /** Takes row number `i` of a page; `distance` undefined where it is new. Demands that it is not full. */
  add(page: ReadPage, i: number, distance: number | undefined): void {
    const n = this.#n++;
    const dim = this.#dim;
    const floats = this.#stateFloats;
    this.#keys[n] = page.keys[i];
    this.#rows.set(page.rows.subarray(i * dim, (i + 1) * dim), n * dim);
    this.#state.set(page.state.subarray(i * floats, (i + 1) * floats), n * floats);
    this.#frequency[n] = page.frequency[i];
    this.#lastStep[n] = page.lastStep[i];
    const counters = this.#counterNames.length;
    this.#counters.set(page.counters.subarray(i * counters, (i + 1) * counters), n * counters);
    this.#added[n] = distance === undefined ? 1 : 0;
    this.#distance[n] = distance ?? 0;
  }

  /** What was collected, with new arrays for what follows. */
  take(): ChangeBatch {
    const n = this.#n;
    const names = this.#counterNames;
    const batch = {
      table: this.table,
      reset: false,
      keys: this.#keys.subarray(0, n),
      rows: this.#rows.subarray(0, n * this.#dim),
      state: this.#state.subarray(0, n * this.#stateFloats),
      frequency: this.#frequency.subarray(0, n),
      lastStep: this.#lastStep.subarray(0, n),
      ...(names.length > 0 && {
        counters: splitCounters(names, this.#counters.subarray(0, n * names.length)),
      }),
      added: this.#added.subarray(0, n),
      distance: this.#distance.subarray(0, n),
      removed: new BigUint64Array(0),
    };
    this.#renew();
    return batch;
  }

  #renew(): void {
    const n = this.#capacity;
    this.#n = 0;
    this.#keys = new BigUint64Array(n);
    this.#rows = new Float32Array(n * this.#dim);
    this.#state = new Float32Array(n * this.#stateFloats);
    this.#frequency = new Uint32Array(n);
    this.#lastStep = new Uint32Array(n);
    this.#counters = new Float32Array(n * this.#counterNames.length);
    this.#added = new Uint8Array(n);
    this.#distance = new Float64Array(n);
  }
}

/** A batch without rows. */
export function batchWithout(table: string, { reset = false, removed = new BigUint64Array(0) }): ChangeBatch {
  return {
    table,
    reset,
    keys: new BigUint64Array(0),
    rows: new Float32Array(0),
    state: new Float32Array(0),
    frequency: new Uint32Array(0),
    lastStep: new Uint32Array(0),
    added: new Uint8Array(0),
    distance: new Float64Array(0),
    removed,
  };
}
