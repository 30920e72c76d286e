import { completeMembers, type Member } from "../ring/members.js";
import { type Move, movesBetween, slotsByNode } from "../ring/moves.js";
import type { SlotMap } from "../ring/slot-map.js";

/** A node's part in a cluster. */
export interface NodePart {
  readonly node: string;
  readonly zone: string;
  readonly weight: number;
  readonly shards: number;
  readonly slots: number;
  /** Its weighted share in slots, not rounded. */
  readonly share: number;
  /** Least and most slots of one of its shards. */
  readonly shardSlots: readonly [number, number];
}

/** What `embershard ring` prints with `--json`. */
export interface RingReport {
  readonly slots: number;
  readonly epoch: number;
  readonly fingerprint: string;
  /** In the order of names. */
  readonly nodes: readonly NodePart[];
  /** By slot from 0 on: runs of one node, [index in `nodes`, slots]. */
  readonly runs: readonly (readonly [number, number])[];
  /**
   * With --join or --leave: what moves between nodes (`from` and `to` being equal: between shards of one, which `moved` leaves out); `ideal`
   * is what shares grow by, not rounded.
   */
  readonly moves?: readonly Move[];
  readonly moved?: number;
  readonly ideal?: number;
}

export interface RingSubject {
  readonly members: readonly Member[];
  readonly map: SlotMap;
  readonly fingerprint: string;
  /** The map and its members before nodes joined and left. */
  readonly before?: SlotMap;
  readonly membersBefore?: readonly Member[];
}

export function ringReport({
  members,
  map,
  fingerprint,
  before,
  membersBefore = [],
}: RingSubject): RingReport {
  const nodes = partsOf(members, map);
  const report = {
    slots: map.ownerOf.length,
    epoch: map.epoch,
    fingerprint,
    nodes,
    runs: runsOfNodes(nodes, map),
  };
  if (!before) return report;
  const moves = movesBetween(before, map);
  const moved = moves.reduce((sum, { from, to, slots }) => sum + (from === to ? 0 : slots), 0);
  return { ...report, moves, moved, ideal: idealOf(nodes, partsOf(membersBefore, before)) };
}

function partsOf(members: readonly Member[], map: SlotMap): NodePart[] {
  const complete = completeMembers(members);
  const total = complete.reduce((sum, { weightUnits }) => sum + weightUnits, 0);
  const held = slotsByNode(map);
  const byOwner = new Uint32Array(map.owners.length);
  for (const owner of map.ownerOf) byOwner[owner]++;
  return complete.map(({ name, zone, weight, shards, weightUnits }) => {
    const counts = [...byOwner].filter((_, owner) => map.owners[owner].node === name);
    return {
      node: name,
      zone,
      weight,
      shards,
      slots: held.get(name)!,
      share: (map.ownerOf.length * weightUnits) / total,
      shardSlots: [Math.min(...counts), Math.max(...counts)],
    };
  });
}

function runsOfNodes(nodes: readonly NodePart[], { owners, ownerOf }: SlotMap): [number, number][] {
  const numbers = new Map(nodes.map(({ node }, i) => [node, i]));
  const runs: [number, number][] = [];
  for (const owner of ownerOf) {
    const node = numbers.get(owners[owner].node)!;
    const last = runs.at(-1);
    if (last?.[0] === node) last[1]++;
    else runs.push([node, 1]);
  }
  return runs;
}

/** The sum of what each node's share grows by: no rule moves less, but for rounding. */
function idealOf(after: readonly NodePart[], before: readonly NodePart[]): number {
  const shares = new Map(before.map(({ node, share }) => [node, share]));
  return after.reduce((sum, { node, share }) => sum + Math.max(0, share - (shares.get(node) ?? 0)), 0);
}
