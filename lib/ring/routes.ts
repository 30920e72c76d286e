import type { SlotMap } from "./slot-map.js";

/**
 * The order in which a batch of keys is sent: by owner, by slot, by position. A slot has a place in it, so that one counting sort puts keys
 * in order, without a search and without an object for a key.
 */
export class Routes {
  /** By slot: its place in the order of owners and slots. */
  readonly rankOf: Uint16Array;
  /** By place: the slot that has it. */
  readonly slotAt: Uint16Array;
  /** By owner: the place after its last. An owner without slots has none. */
  readonly endOf: Uint32Array;

  constructor({ owners, ownerOf }: Pick<SlotMap, "owners" | "ownerOf">) {
    const slots = ownerOf.length;
    this.endOf = new Uint32Array(owners.length);
    for (const owner of ownerOf) this.endOf[owner]++;
    for (let i = 1; i < owners.length; i++) this.endOf[i] += this.endOf[i - 1];
    this.rankOf = new Uint16Array(slots);
    this.slotAt = new Uint16Array(slots);
    const next = Uint32Array.from(this.endOf, (_, owner) => (owner === 0 ? 0 : this.endOf[owner - 1]));
    for (let slot = 0; slot < slots; slot++) {
      const rank = next[ownerOf[slot]]++;
      this.rankOf[slot] = rank;
      this.slotAt[rank] = slot;
    }
  }
}
