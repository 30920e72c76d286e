// Clusters and what becomes of them, for property tests.
import fc from "fast-check";
import type { Member } from "../../lib/ring/members.js";
import type { SlotMap } from "../../lib/ring/slot-map.js";

/** What changes a cluster, with random numbers that say which member it happens to. */
export type Change =
  | { readonly kind: "join"; readonly weight: number; readonly shards: number; readonly zone: string }
  | { readonly kind: "leave" | "reshard" | "reweigh"; readonly which: number; readonly to: number };

const weightOf = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(1, 2, 4) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 20_000 }).map((units) => units / 1000) },
  { weight: 1, arbitrary: fc.constantFrom(0.001, 0.5, 100, 100_000) },
);
const zoneOf = fc.constantFrom("", "x", "y", "z");

export function membersOf(most: number, weight: fc.Arbitrary<number> = weightOf): fc.Arbitrary<Member[]> {
  const member = fc.record({ weight, zone: zoneOf, shards: fc.integer({ min: 1, max: 5 }) });
  return fc
    .array(member, { minLength: 1, maxLength: most, size: "max" })
    .map((members) => members.map((one, i) => ({ ...one, name: `node-${i}` })));
}

export function changesOf(most: number, weight: fc.Arbitrary<number> = weightOf): fc.Arbitrary<Change[]> {
  const join = fc.record({
    kind: fc.constant("join" as const),
    weight,
    shards: fc.integer({ min: 1, max: 5 }),
    zone: zoneOf,
  });
  const other = (kind: "leave" | "reshard") =>
    fc.record({ kind: fc.constant(kind), which: fc.nat(), to: fc.integer({ min: 1, max: 6 }) });
  const reweigh = fc.record({ kind: fc.constant("reweigh" as const), which: fc.nat(), to: weight });
  return fc.array(fc.oneof(join, other("leave"), other("leave"), other("reshard"), reweigh), {
    maxLength: most,
    size: "max",
  });
}

/** The members after a change, the number of it makes the name of who joins. The last one never leaves. */
export function changed(members: readonly Member[], change: Change, number: number): Member[] {
  if (change.kind === "join") {
    const { weight, shards, zone } = change;
    return [...members, { name: `joined-${number}`, weight, shards, zone }];
  }
  const which = change.which % members.length;
  if (change.kind === "leave")
    return members.length === 1 ? [...members] : members.filter((_, i) => i !== which);
  const what = change.kind === "reshard" ? { shards: change.to } : { weight: change.to };
  return members.map((one, i) => (i === which ? { ...one, ...what } : one));
}

/** By slot: the name of the node that owns it. */
export function nodesOf({ owners, ownerOf }: SlotMap): string[] {
  return Array.from(ownerOf, (owner) => owners[owner].node);
}

export function countsOf<Key>(keys: Iterable<Key>): Map<Key, number> {
  const counts = new Map<Key, number>();
  for (const key of keys) counts.set(key, (counts.get(key) ?? 0) + 1);
  return counts;
}

/** The weighted share of each member, rounded down and up, in exact arithmetic. */
export function boundsOf(members: readonly Member[], slots: number): Map<string, [number, number]> {
  const units = members.map(({ weight = 1 }) => BigInt(Math.round(1000 * weight)));
  const total = units.reduce((a, b) => a + b, 0n);
  return new Map(
    members.map(({ name }, i) => {
      const product = units[i] * BigInt(slots);
      const low = product / total;
      return [name, [Number(low), Number(low * total === product ? low : low + 1n)]];
    }),
  );
}
