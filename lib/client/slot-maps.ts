// The slot map as it comes over the wire.
import { checkOwners, ownersOfRuns, type SlotMap } from "../ring/slot-map.js";
import type { SlotMap as WireSlotMap } from "../wire/generated/frame-types.js";

/** @throws BAD_FRAME */
export function slotMapOf({ epoch, slotCount, owners, runs }: WireSlotMap): SlotMap {
  const each = {
    owners: runs.filter((_, i) => i % 2 === 0),
    lengths: Uint32Array.from(runs.filter((_, i) => i % 2 === 1)).map((less) => less + 1),
  };
  const map: SlotMap = { epoch, owners, ownerOf: ownersOfRuns(each, slotCount, owners.length) };
  checkOwners(map);
  return map;
}
