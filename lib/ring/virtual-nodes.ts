import { xxh64, xxh64OfWord } from "./hash.js";
import { type CompleteMember, checkSlots, completeMembers, defaultSlots, type Member } from "./members.js";

/** Points of a member of weight 1. */
export const pointsPerWeight = 128;
/** Points of all members together beyond which they are halved: making 2^17 takes a third of a second. */
export const pointLimit = 1 << 17;

export interface RingOptions {
  /** 16,384 unless given. */
  readonly slots?: number;
  /** Points of a member of weight 1: 128 unless given. Another number is another placement. */
  readonly points?: number;
  /** Most points of all members together: 2^17 unless given. Another limit is another placement. */
  readonly mostPoints?: number;
}

/**
 * The ring: each member has points on a circle of 2^32 places, as many as its weight says, and a slot prefers the members in the
 * order in which their points follow its own place (Karger et al. 1997).
 *
 * Points 2i and 2i + 1 of a member are the upper and the lower 32 bits of XXH64(i as 8 bytes, seed = XXH64(name, 0)).
 * A member has round(points * weight) of them, at least 1; if that is more than 2^17 together, all numbers are halved, rounded
 * down, until it is not. Equal places stand in the order of the names. Slot k begins at floor(k * 2^32 / slots).
 */
export class Ring {
  readonly slots: number;
  /** In the order of their names. */
  readonly members: readonly CompleteMember[];
  /** By point, in the order of places: the number of its member. */
  readonly memberOf: Uint16Array;
  /** By point, in ascending order: its place, of 2^32. */
  readonly placeOf: Uint32Array;
  /** By slot: the first point at or after its place. */
  readonly startOf: Uint32Array;

  /** @throws INVALID_OPTIONS. */
  constructor(
    members: readonly Member[],
    { slots = defaultSlots, points = pointsPerWeight, mostPoints = pointLimit }: RingOptions = {},
  ) {
    checkSlots(slots);
    this.slots = slots;
    this.members = completeMembers(members);
    const places = placesOf(this.members, points, mostPoints);
    this.memberOf = Uint16Array.from(places, (place) => place % 65_536);
    this.placeOf = Uint32Array.from(places, (place) => Math.floor(place / 65_536));
    this.startOf = new Uint32Array(slots);
    let at = 0;
    for (let slot = 0; slot < slots; slot++) {
      const place = slot * (2 ** 32 / slots) * 65_536;
      while (at < places.length && places[at] < place) at++;
      this.startOf[slot] = at === places.length ? 0 : at;
    }
  }

  /** The numbers of the first `n` members, or of all, in the order in which `slot` prefers them. */
  preferred(slot: number, n = this.members.length): number[] {
    return this.#walk(slot, n, [], () => true);
  }

  /**
   * The members that keep copies of a slot: its owner, then those that follow it on the ring, in zones that none is in yet while
   * there are any, then the others. `n` of them, or all there are.
   */
  replicaSet(slot: number, owner: number, n: number): number[] {
    const zones = new Set([this.members[owner].zone]);
    const apart = this.#walk(slot, n, [owner], (member) => {
      const { zone } = this.members[member];
      return !zones.has(zone) && zones.add(zone) !== undefined;
    });
    return this.#walk(slot, n, apart, () => true);
  }

  /** `chosen`, and of the members after `slot` those not among them that `fits` takes, until there are `n`. */
  #walk(slot: number, n: number, chosen: readonly number[], fits: (member: number) => boolean): number[] {
    const found = [...chosen];
    const seen = new Set(chosen);
    const { memberOf } = this;
    for (let i = 0, at = this.startOf[slot]; i < memberOf.length && found.length < n; i++) {
      const member = memberOf[at];
      if (!seen.has(member)) {
        seen.add(member);
        if (fits(member)) found.push(member);
      }
      at = at + 1 === memberOf.length ? 0 : at + 1;
    }
    return found;
  }
}

/** Points as place * 2^16 + member, in ascending order. */
function placesOf(members: readonly CompleteMember[], points: number, mostPoints: number): Float64Array {
  const wished = members.map(({ weightUnits }) => Math.round((points * weightUnits) / 1000));
  let halvings = 0;
  const countOf = (count: number) => Math.max(1, Math.floor(count / 2 ** halvings));
  while (wished.reduce((sum, count) => sum + countOf(count), 0) > mostPoints) halvings++;
  const counts = wished.map(countOf);
  const places = new Float64Array(counts.reduce((sum, count) => sum + count, 0));
  const encoder = new TextEncoder();
  let at = 0;
  for (const [member, { name }] of members.entries()) {
    const seed = xxh64(encoder.encode(name));
    for (let i = 0; i < counts[member]; i += 2) {
      const hash = xxh64OfWord(BigInt(i >> 1), seed);
      places[at++] = Number(hash >> 32n) * 65_536 + member;
      if (i + 1 < counts[member]) places[at++] = Number(hash & 0xffff_ffffn) * 65_536 + member;
    }
  }
  return places.sort();
}
