import type { Arena } from "../table/arena.js";

/** Which generation of each page's image is the current one. */
export class PageLedger {
  #generations: Uint32Array[];

  constructor(generations: readonly Uint32Array[] = []) {
    this.#generations = generations.map((one) => one.slice());
  }

  get(arena: number, page: number): number {
    return this.#generations[arena]?.[page] ?? 0;
  }

  set(arena: number, page: number, generation: number): void {
    while (this.#generations.length <= arena) this.#generations.push(new Uint32Array(0));
    if (page >= this.#generations[arena].length) {
      const longer = new Uint32Array(Math.max(page + 1, 2 * this.#generations[arena].length));
      longer.set(this.#generations[arena]);
      this.#generations[arena] = longer;
    }
    this.#generations[arena][page] = generation;
  }

  /** Pages that have an image. */
  count(): number {
    return this.#generations.reduce(
      (sum, one) => sum + one.reduce((n, generation) => n + (generation ? 1 : 0), 0),
      0,
    );
  }

  /** Current images in ascending order of arena and page. */
  *entries(): Generator<{ arena: number; page: number; generation: number }> {
    for (const [arena, one] of this.#generations.entries()) {
      for (let page = 0; page < one.length; page++)
        if (one[page]) yield { arena, page, generation: one[page] };
    }
  }

  /** Whether it names this image. */
  has({ arena, page, generation }: { arena: number; page: number; generation: number }): boolean {
    return generation !== 0 && this.get(arena, page) === generation;
  }

  copy(): PageLedger {
    return new PageLedger(this.#generations);
  }

  /** As the manifest holds it: one array for each arena, up to its last page, whether that has an image or not. */
  toArrays(arenas: readonly Arena[]): Uint32Array[] {
    return arenas.map(({ number, pagesEnd }) => {
      const all = new Uint32Array(pagesEnd);
      all.set((this.#generations[number] ?? all).subarray(0, pagesEnd));
      return all;
    });
  }
}
