import type { SlotMap } from "./slot-map.js";

/** Slots that change from one node to another, or, `from` and `to` being equal, between shards of one. */
export interface Move {
  readonly from: string;
  readonly to: string;
  readonly slots: number;
}

/** What moves between two maps of equal slots: by node, in the order of names, first who gives. */
export function movesBetween(before: SlotMap, after: SlotMap): Move[] {
  const moves = new Map<string, Move>();
  for (let slot = 0; slot < before.ownerOf.length; slot++) {
    const from = before.owners[before.ownerOf[slot]];
    const to = after.owners[after.ownerOf[slot]];
    if (from.node === to.node && from.shard === to.shard) continue;
    const key = `${from.node} ${to.node}`;
    const slots = (moves.get(key)?.slots ?? 0) + 1;
    moves.set(key, { from: from.node, to: to.node, slots });
  }
  return [...moves.values()].sort((a, b) => compare(a.from, b.from) || compare(a.to, b.to));
}

/** Slots of each node of a map, those without any too. */
export function slotsByNode({ owners, ownerOf }: SlotMap): Map<string, number> {
  const counts = new Map(owners.map(({ node }) => [node, 0]));
  for (const owner of ownerOf) {
    const { node } = owners[owner];
    counts.set(node, counts.get(node)! + 1);
  }
  return counts;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
