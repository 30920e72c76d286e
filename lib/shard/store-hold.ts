import { encodeManifest } from "./manifest.js";
import type { HeldInstant } from "./version-reading.js";

/** Files that stay where they are. */
export interface StoreHold {
  /** Every record up to here was in the files when it began. */
  readonly writtenLsn: number;
  /** The manifest of an instant: its pages stay in the page store, and the values of its cold rows. */
  readonly instant?: Uint8Array | undefined;
  release(): void;
}

/** The same, with an instant that is held as long. What holding it throws ends the hold. */
export async function withInstant(
  { writtenLsn, release }: StoreHold,
  holdLive: () => Promise<HeldInstant>,
): Promise<StoreHold> {
  try {
    const live = await holdLive();
    const instant = encodeManifest(live.instant.manifest);
    return { writtenLsn, instant, release: () => [live.release, release].forEach((one) => void one()) };
  } catch (error) {
    release();
    throw error;
  }
}
