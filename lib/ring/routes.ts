import type { SlotMap } from "./slot-map.js";

/**
 * The order in which a batch of keys is sent: by owner, by slot, by position. One counting sort finds it, without a search and
 * without an object for a key.
 */
export class Routes {
  /** By slot: its place in the order of owners and slots. */
  readonly #rankOf: Uint16Array;
  /** By place: the slot that has it. */
  readonly slotAt: Uint16Array;
  /** By owner: the place after its last. An owner without slots has none. */
  readonly endOf: Uint32Array;
  readonly #next: Uint32Array;

  constructor({ owners, ownerOf }: Pick<SlotMap, "owners" | "ownerOf">) {
    const slots = ownerOf.length;
    this.endOf = new Uint32Array(owners.length);
    for (const owner of ownerOf) this.endOf[owner]++;
    for (let i = 1; i < owners.length; i++) this.endOf[i] += this.endOf[i - 1];
    this.#rankOf = new Uint16Array(slots);
    this.slotAt = new Uint16Array(slots);
    this.#next = new Uint32Array(slots + 1);
    const next = Uint32Array.from(this.endOf, (_, owner) => (owner === 0 ? 0 : this.endOf[owner - 1]));
    for (let slot = 0; slot < slots; slot++) {
      const rank = next[ownerOf[slot]]++;
      this.#rankOf[slot] = rank;
      this.slotAt[rank] = slot;
    }
  }

  /** The place of a slot in the order. */
  rankOf(slot: number): number {
    return this.#rankOf[slot];
  }

  /**
   * Orders the first `n` keys, whose slots are u16[n]: writes their positions to `order`, u32[n], and to `ends`,
   * u32[owners], where in `order` each owner's end; an owner's begin where those of the one before end. Nothing is kept.
   */
  sort(slots: Uint16Array, n: number, order: Uint32Array, ends: Uint32Array): void {
    const [next, rankOf] = [this.#next, this.#rankOf];
    next.fill(0);
    for (let i = 0; i < n; i++) next[rankOf[slots[i]] + 1]++;
    for (let rank = 1; rank < next.length; rank++) next[rank] += next[rank - 1];
    for (let owner = 0; owner < ends.length; owner++) ends[owner] = next[this.endOf[owner]];
    for (let i = 0; i < n; i++) order[next[rankOf[slots[i]]]++] = i;
  }
}
