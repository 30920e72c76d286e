import { runsOf, type SlotMap } from "../ring/slot-map.js";
import type { SlotMapInput } from "../wire/generated/frame-types.js";

/** A slot map as frames have it. */
export function slotMapFrame({ epoch, owners, ownerOf }: SlotMap): SlotMapInput {
  const { owners: ownersOfRuns, lengths } = runsOf(ownerOf);
  const runs = new Uint16Array(2 * lengths.length);
  for (let i = 0; i < lengths.length; i++) {
    runs[2 * i] = ownersOfRuns[i];
    runs[2 * i + 1] = lengths[i] - 1;
  }
  return { kind: "SlotMap", epoch, slotCount: ownerOf.length, owners, runs };
}
