/** Files that stay where they are. */
export interface StoreHold {
  /** Every record up to here was in the files when it began. */
  readonly writtenLsn: number;
  /** The manifest of an instant: its pages stay in the page store, and the values of its cold rows. */
  readonly instant?: Uint8Array | undefined;
  release(): void;
}
