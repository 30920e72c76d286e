import type { SlotMap } from "../ring/slot-map.js";
import type { SlotMapInput } from "../wire/generated/frame-types.js";

/** A slot map as frames have it. */
export function slotMapFrame({ epoch, owners, ownerOf }: SlotMap): SlotMapInput {
  const runs: number[] = [];
  for (let first = 0; first < ownerOf.length; ) {
    let end = first + 1;
    while (end < ownerOf.length && ownerOf[end] === ownerOf[first]) end++;
    runs.push(ownerOf[first], end - first - 1);
    first = end;
  }
  return { kind: "SlotMap", epoch, slotCount: ownerOf.length, owners, runs: Uint16Array.from(runs) };
}
