import { assert } from "../base/assert.js";
import { EmbershardError } from "../base/errors.js";
import type { CompleteMember, Member } from "./members.js";
import { quotasOf } from "./quotas.js";
import type { Owner, SlotMap } from "./slot-map.js";
import { Ring, type RingOptions } from "./virtual-nodes.js";

/**
 * The first slot map of a cluster, epoch 1. Each node has its weighted share of the slots, rounded down or up, and each of its
 * shards an equal part of the node's, likewise.
 *
 * @throws INVALID_OPTIONS.
 */
export function firstMap(members: readonly Member[], options: RingOptions = {}): SlotMap {
  return place(undefined, new Ring(members, options));
}

/**
 * The map after `previous` when `members` are there: quotas as of `quotasOf`, which moves the fewest slots that they allow.
 * A node that joins takes from others and they take from nobody, a node that leaves gives and nobody else does, unless
 * quotas forbid it (docs/placement.md has the case). Shards of a node give and take where their node does, and among
 * themselves only when their number changes.
 *
 * @throws INVALID_OPTIONS, also for another number of slots than `previous` has.
 */
export function nextMap(previous: SlotMap, members: readonly Member[], options: RingOptions = {}): SlotMap {
  const slots = previous.ownerOf.length;
  if (options.slots !== undefined && options.slots !== slots)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `slots: found ${options.slots}, expected ${slots} as before: their number is chosen once`,
    );
  return place(previous, new Ring(members, { ...options, slots }));
}

/**
 * By slot, its shard in a node that has all slots: floor(slot * shards / slots), so that shards have ranges of slots.
 * `firstMap` of one member says the same.
 */
export function shardsOfSlots(shards: number, slots: number): Uint16Array {
  return Uint16Array.from({ length: slots }, (_, slot) => Math.floor((slot * shards) / slots));
}

/** Nobody, in what follows. */
const none = -1;

function place(previous: SlotMap | undefined, ring: Ring): SlotMap {
  const before = new Holding(previous, ring);
  const owners = ring.members.flatMap(ownersOf);
  const quotas = quotasOf({
    slots: ring.slots,
    weights: ring.members.map(({ weightUnits }) => weightUnits),
    before: before.slotsOfMember,
    joined: before.joined,
  });
  const shardQuotas = new Uint32Array(owners.length);
  for (const [member, { shards }] of ring.members.entries()) {
    const from = before.firstOwner[member];
    shardQuotas.set(shardQuotasOf(quotas[member], before.slotsOfOwner.subarray(from, from + shards)), from);
  }
  const after = moveBetween(ring, before, quotas, shardQuotas);
  moveWithin(ring, before, after, shardQuotas);
  const ownerOf = Uint16Array.from(after.ownerOf);
  return { epoch: (previous?.epoch ?? 0) + 1, owners, ownerOf };
}

function ownersOf({ name, shards, host, port }: CompleteMember): Owner[] {
  return Array.from({ length: shards }, (_, shard) => ({
    node: name,
    shard,
    host,
    port: port === 0 ? 0 : port + 1 + shard,
  }));
}

/** Slots of a node's shards: those of a node that had none as in `shardsOfSlots`, otherwise with the fewest moves. */
function shardQuotasOf(slots: number, before: Uint32Array): Uint32Array {
  const shards = before.length;
  if (before.every((held) => held === 0))
    return Uint32Array.from(before, (_, shard) => {
      const first = (of: number) => Math.ceil((of * slots) / shards);
      return first(shard + 1) - first(shard);
    });
  const same = new Array<number>(shards).fill(1);
  return quotasOf({ slots, weights: same, before, joined: new Array<boolean>(shards).fill(false) });
}

/** Who holds what before slots move, in the numbers of the members and owners to come. */
class Holding {
  /** By member: its first owner. */
  readonly firstOwner: Uint32Array;
  /** By slot: its member, or `none`. */
  readonly memberOf: Int32Array;
  /** By slot: its owner, or `none`: also where the member has that shard no more. */
  readonly ownerOf: Int32Array;
  readonly slotsOfMember: Uint32Array;
  readonly slotsOfOwner: Uint32Array;
  /** By member: whether `previous` has no shard of it. */
  readonly joined: boolean[];

  constructor(previous: SlotMap | undefined, { members, slots }: Ring) {
    this.memberOf = new Int32Array(slots).fill(none);
    this.ownerOf = new Int32Array(slots).fill(none);
    this.firstOwner = new Uint32Array(members.length);
    for (let i = 1; i < members.length; i++)
      this.firstOwner[i] = this.firstOwner[i - 1] + members[i - 1].shards;
    this.slotsOfMember = new Uint32Array(members.length);
    this.slotsOfOwner = new Uint32Array(members.reduce((sum, { shards }) => sum + shards, 0));
    const numbers = new Map(members.map(({ name }, i) => [name, i]));
    this.joined = members.map(() => true);
    const memberOfOld = (previous?.owners ?? []).map(({ node }) => numbers.get(node) ?? none);
    for (const member of memberOfOld) if (member !== none) this.joined[member] = false;
    for (let slot = 0; previous !== undefined && slot < slots; slot++) {
      const old = previous.ownerOf[slot];
      const member = memberOfOld[old];
      if (member === none) continue;
      this.memberOf[slot] = member;
      this.slotsOfMember[member]++;
      const { shard } = previous.owners[old];
      if (shard >= members[member].shards) continue;
      this.ownerOf[slot] = this.firstOwner[member] + shard;
      this.slotsOfOwner[this.ownerOf[slot]]++;
    }
  }
}

/** Who holds what after: an owner of `none` is a slot that a member has and none of its shards. */
interface Held {
  readonly memberOf: Int32Array;
  readonly ownerOf: Int32Array;
  /** By owner: slots that it has more than its quota. */
  readonly giving: Int32Array;
}

/**
 * Moves slots between members: point after point on the ring, each slot that may go, in their order, goes to the member of
 * the next point after its place if that still wants one. Every member has a point, so that every slot meets every member.
 */
function moveBetween(ring: Ring, before: Holding, quotas: Uint32Array, shardQuotas: Uint32Array): Held {
  const wanting = Int32Array.from(quotas, (quota, i) => Math.max(0, quota - before.slotsOfMember[i]));
  const leaving = Int32Array.from(quotas, (quota, i) => Math.max(0, before.slotsOfMember[i] - quota));
  const giving = Int32Array.from(shardQuotas, (quota, i) => Math.max(0, before.slotsOfOwner[i] - quota));
  const memberOf = before.memberOf.slice();
  const ownerOf = before.ownerOf.slice();
  const mayGo = (slot: number) => {
    const member = memberOf[slot];
    return member === none || (leaving[member] > 0 && (ownerOf[slot] === none || giving[ownerOf[slot]] > 0));
  };
  let wanted = wanting.reduce((sum, count) => sum + count, 0);
  let going = Uint16Array.from({ length: ring.slots }, (_, slot) => slot).filter(mayGo);
  const points = ring.memberOf.length;
  for (let step = 0; wanted > 0; step++) {
    assert(step < points, "every slot that goes finds a member");
    let kept = 0;
    for (const slot of going) {
      if (!mayGo(slot)) continue;
      const to = ring.memberOf[(ring.startOf[slot] + step) % points];
      if (wanting[to] === 0) {
        going[kept++] = slot;
        continue;
      }
      wanting[to]--;
      wanted--;
      if (memberOf[slot] !== none) leaving[memberOf[slot]]--;
      if (ownerOf[slot] !== none) giving[ownerOf[slot]]--;
      memberOf[slot] = to;
      ownerOf[slot] = none;
    }
    going = going.subarray(0, kept);
  }
  return { memberOf, ownerOf, giving };
}

/** Gives what each member took, and what its shards have too much, to those of its shards that want it: in the order of slots. */
function moveWithin(ring: Ring, before: Holding, after: Held, shardQuotas: Uint32Array): void {
  const wanting = Int32Array.from(shardQuotas, (quota, i) => Math.max(0, quota - before.slotsOfOwner[i]));
  const next = before.firstOwner.slice();
  const { memberOf, ownerOf, giving } = after;
  for (let slot = 0; slot < ring.slots; slot++) {
    const owner = ownerOf[slot];
    if (owner !== none && giving[owner] === 0) continue;
    if (owner !== none) giving[owner]--;
    const member = memberOf[slot];
    while (wanting[next[member]] === 0) next[member]++;
    assert(next[member] < before.firstOwner[member] + ring.members[member].shards, "a shard wants each slot");
    wanting[next[member]]--;
    ownerOf[slot] = next[member];
  }
}
