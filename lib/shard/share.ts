// What a shard has of a limit that is for all shards of a store together.

/** Slots of all shards, one shard behind the other: those of this one are `from`, inclusive, to `to`, exclusive, of `of`. */
export interface Share {
  readonly from: number;
  readonly to: number;
  readonly of: number;
}

/** A part of a number, such that all parts add up to it; 1 at least, all of it without a share. */
export function partOf(total: number, share: Share | undefined): number {
  if (!share) return total;
  const upTo = (slots: number) => Math.floor(total * (slots / share.of));
  return Math.max(1, upTo(share.to) - upTo(share.from));
}
