import { EmbershardError } from "../base/errors.js";
import type { SlotMap } from "../ring/slot-map.js";
import { slotCount } from "../shard/arena-set.js";
import type { Shard } from "../shard/shard.js";
import { guarded } from "../shard/shard-state.js";
import type { Share } from "../shard/share.js";
import type { ArenaTable } from "../table/arena-table.js";

/** Slots that a request says it covers, both inclusive. */
export interface SlotRange {
  readonly first: number;
  readonly last: number;
}

export const allSlots: SlotRange = { first: 0, last: slotCount - 1 };

/** Which slots a shard owns, by the map in force. */
export class Ownership {
  readonly map: SlotMap;
  /** Slots that it owns. */
  readonly slots: number;
  /** Its part of all slots, shards in the order of the map. */
  readonly share: Share;
  readonly #owned: Uint8Array;

  constructor(map: SlotMap, node: string, shard: number) {
    if (map.ownerOf.length !== slotCount)
      throw new EmbershardError(
        "UNSUPPORTED",
        `the slot map has ${map.ownerOf.length} slots, expected ${slotCount}`,
      );
    this.map = map;
    this.#owned = new Uint8Array(slotCount / 8);
    const me = map.owners.findIndex((owner) => owner.node === node && owner.shard === shard);
    let slots = 0;
    let from = 0;
    for (let slot = 0; slot < slotCount; slot++) {
      if (map.ownerOf[slot] < me) from++;
      if (map.ownerOf[slot] !== me) continue;
      this.#owned[slot >> 3] |= 1 << (slot & 7);
      slots++;
    }
    this.slots = slots;
    this.share = { from, to: from + slots, of: slotCount };
  }

  /** Demands that a request was planned with this map. @throws STALE_EPOCH */
  demandEpoch(epoch: number): void {
    if (epoch === this.map.epoch) return;
    throw new EmbershardError(
      "STALE_EPOCH",
      `the request was planned with epoch ${epoch} of the slot map, epoch ${this.map.epoch} is in force: plan it anew`,
    );
  }

  /**
   * Demands that keys are of slots that the shard owns, and of those that the request says it covers. Returns whether they
   * were seen to be distinct, which they are when they come in the order of their slots.
   *
   * @throws STALE_EPOCH, INVALID_ARGUMENT naming the first key that is not
   */
  demand(shard: Shard, table: ArenaTable, keys: BigUint64Array, { first, last }: SlotRange): boolean {
    const n = keys.length;
    if (n === 0 || (this.slots === slotCount && first === 0 && last === slotCount - 1)) return false;
    const { state } = shard;
    const bad = guarded(state, () => {
      const { front } = state.arenas;
      front.beginScratch(8 * n + this.#owned.length + 128);
      const at = front.takeScratch(8 * n);
      const owned = front.takeScratch(this.#owned.length);
      front.u64.set(keys, at / 8);
      front.bytes.set(this.#owned, owned);
      return front.kernel.checkSlots(at, n, table.placement, owned, first, last);
    });
    if (bad < 0) return bad === -2;
    const slot = slotOf(shard, table, keys[bad]);
    if (slot < first || slot > last)
      throw new EmbershardError(
        "INVALID_ARGUMENT",
        `key ${keys[bad]} of table "${table.definition.name}" is of slot ${slot}, the request says that it covers ${first} to ${last}`,
      );
    throw new EmbershardError(
      "STALE_EPOCH",
      `key ${keys[bad]} of table "${table.definition.name}" is of slot ${slot}, which is not this shard's by epoch ${this.map.epoch}: plan the request anew`,
    );
  }
}

function slotOf({ state }: Shard, table: ArenaTable, key: bigint): number {
  const { front } = state.arenas;
  front.beginScratch(256);
  const at = front.takeScratch(8);
  const into = front.takeScratch(2);
  front.u64[at / 8] = key;
  front.kernel.slotsOf(at, 1, table.placement, into);
  return front.u16[into / 2];
}
