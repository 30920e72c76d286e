// What docs/formats says of the times and counters of rows.

/** What a definition says of them. */
export interface ExtrasDefinition {
  readonly eviction?: object;
  readonly made?: number;
  readonly counters?: { readonly names: readonly string[]; readonly decay: number };
}

export interface FoundExtras {
  readonly counters?: Record<string, number>;
  readonly writtenAt?: number;
}

export function extrasBytes({ eviction, counters }: ExtrasDefinition): number {
  return (eviction ? 4 : 0) + (counters ? 4 + 4 * counters.names.length : 0);
}

/** Reads and writes the extras that begin at byte `at` of a page, with the table's epoch. */
export class Extras {
  readonly #view: DataView;
  readonly #at: number;
  readonly #definition: ExtrasDefinition;
  readonly #epoch: number;

  constructor(view: DataView, at: number, definition: ExtrasDefinition, epoch: number) {
    this.#view = view;
    this.#at = at;
    this.#definition = definition;
    this.#epoch = epoch;
  }

  get #countersAt(): number {
    return this.#at + (this.#definition.eviction ? 4 : 0);
  }

  begin(): void {
    const { counters } = this.#definition;
    if (!counters) return;
    this.#view.setUint32(this.#countersAt, this.#epoch, true);
    counters.names.forEach((_, i) => {
      this.#view.setFloat32(this.#countersAt + 4 + 4 * i, 0, true);
    });
  }

  touch(time: number): void {
    const { eviction, made } = this.#definition;
    if (eviction) this.#view.setUint32(this.#at, Math.max(0, Math.floor((time - made!) / 100)), true);
  }

  /** `added` gives what is added to counter i. */
  count(added: (i: number) => number): void {
    const { counters } = this.#definition;
    if (!counters) return;
    const now = counters.names.map((_, i) => this.#counter(i));
    now.forEach((value, i) => {
      this.#view.setFloat32(this.#countersAt + 4 + 4 * i, value + added(i), true);
    });
    this.#view.setUint32(this.#countersAt, this.#epoch, true);
  }

  /** `given` gives what counter i becomes. */
  set(given: (i: number) => number): void {
    this.#definition.counters!.names.forEach((_, i) => {
      this.#view.setFloat32(this.#countersAt + 4 + 4 * i, given(i), true);
    });
    this.#view.setUint32(this.#countersAt, this.#epoch, true);
  }

  #counter(i: number): number {
    let value = this.#view.getFloat32(this.#countersAt + 4 + 4 * i, true);
    const rate = Math.fround(this.#definition.counters!.decay);
    for (let epoch = this.#view.getUint32(this.#countersAt, true); epoch < this.#epoch; epoch++)
      value = Math.fround(value * rate);
    return value;
  }

  read(): FoundExtras {
    const { eviction, made, counters } = this.#definition;
    return {
      ...(counters && {
        counters: Object.fromEntries(counters.names.map((name, i) => [name, this.#counter(i)])),
      }),
      ...(eviction && { writtenAt: made! + 100 * this.#view.getUint32(this.#at, true) }),
    };
  }
}
