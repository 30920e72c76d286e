import { EmbershardError } from "../base/errors.js";
import { xxh64 } from "./hash.js";
import { checkSlots, mostOwners } from "./members.js";

/** Who owns slots: one shard of one node. */
export interface Owner {
  readonly node: string;
  readonly shard: number;
  /** Where its own listener is; "" and 0 while that is not known. */
  readonly host: string;
  readonly port: number;
}

/** Who owns which slot. Clients fetch it, and never compute it. */
export interface SlotMap {
  /** Its version, from 1. Of two maps of a cluster the one with the higher epoch is in force. */
  readonly epoch: number;
  /** All shards of all nodes, those without slots too: nodes in the order of their names, shards by number. */
  readonly owners: readonly Owner[];
  /** By slot: the index of its owner in `owners`. Its length is the number of slots. */
  readonly ownerOf: Uint16Array;
}

/** Slots from 0 on in runs of one owner: parallel arrays. */
export interface Runs {
  /** u16[runs]: indices of owners. */
  readonly owners: Uint16Array;
  /** u32[runs]: how many slots, together all. */
  readonly lengths: Uint32Array;
}

/** A slot map as JSON: runs stand for `ownerOf`. */
export interface SlotMapJson {
  readonly epoch: number;
  readonly slots: number;
  readonly owners: readonly Owner[];
  readonly runOwners: readonly number[];
  readonly runLengths: readonly number[];
}

/** `ownerOf` run by run: what goes over the wire. */
export function runsOf(ownerOf: Uint16Array): Runs {
  const owners = new Uint16Array(ownerOf.length);
  const lengths = new Uint32Array(ownerOf.length);
  let runs = 0;
  for (let slot = 0; slot < ownerOf.length; slot++) {
    if (slot === 0 || ownerOf[slot] !== ownerOf[slot - 1]) owners[runs++] = ownerOf[slot];
    lengths[runs - 1]++;
  }
  return { owners: owners.slice(0, runs), lengths: lengths.slice(0, runs) };
}

/**
 * `ownerOf` from its runs, as another side sent them.
 *
 * @throws BAD_FRAME if they do not name `slots` slots of owners below `ownerCount`.
 */
export function ownersOfRuns(
  { owners, lengths }: { readonly owners: ArrayLike<number>; readonly lengths: ArrayLike<number> },
  slots: number,
  ownerCount: number,
): Uint16Array {
  if (owners.length !== lengths.length)
    throw bad(`${owners.length} owners of ${lengths.length} runs`, "as many");
  const ownerOf = new Uint16Array(slots);
  let slot = 0;
  for (let i = 0; i < owners.length; i++) {
    const end = slot + lengths[i];
    // Negations, so that NaN is refused, too.
    if (!(owners[i] >= 0 && owners[i] < ownerCount)) throw bad(`owner ${owners[i]}`, `one of ${ownerCount}`);
    if (!(end > slot && end <= slots))
      throw bad(`a run of ${lengths[i]} from slot ${slot}`, `1 to ${slots - slot}`);
    ownerOf.fill(owners[i], slot, end);
    slot = end;
  }
  if (slot !== slots) throw bad(`owners of ${slot} slots`, `of ${slots}`);
  return ownerOf;
}

/** The map as plain data, for JSON. */
export function slotMapJson({ epoch, owners, ownerOf }: SlotMap): SlotMapJson {
  const runs = runsOf(ownerOf);
  return { epoch, slots: ownerOf.length, owners, runOwners: [...runs.owners], runLengths: [...runs.lengths] };
}

/**
 * A map from what another side sent, checked.
 *
 * @throws BAD_FRAME that says what is wrong with it.
 */
export function readSlotMap(json: unknown): SlotMap {
  if (typeof json !== "object" || json === null) throw bad(String(json), "an object");
  const given = json as Partial<Record<keyof SlotMapJson, unknown>>;
  const { epoch, slots, owners } = given;
  if (!Array.isArray(owners)) throw bad("no owners", "an array of them");
  const runs = { owners: numbersOf(given.runOwners), lengths: numbersOf(given.runLengths) };
  try {
    checkSlots(slots as number);
  } catch (cause) {
    throw bad(`${slots} slots`, "a power of two", cause);
  }
  const ownerOf = ownersOfRuns(runs, slots as number, owners.length);
  const map = { epoch: epoch as number, owners: owners as Owner[], ownerOf };
  checkOwners(map);
  return map;
}

function numbersOf(given: unknown): number[] {
  if (Array.isArray(given) && given.every((one) => Number.isInteger(one))) return given;
  throw bad("runs that are no whole numbers", "an array of them");
}

/**
 * Refuses a map whose epoch or owners are not what they must be. Of runs, `ownersOfRuns` has taken care.
 *
 * @throws BAD_FRAME.
 */
export function checkOwners({ epoch, owners }: Pick<SlotMap, "epoch" | "owners">): void {
  if (!Number.isSafeInteger(epoch) || epoch < 1) throw bad(`epoch ${epoch}`, "a whole number from 1");
  if (owners.length === 0 || owners.length > mostOwners)
    throw bad(`${owners.length} owners`, `1 to ${mostOwners}`);
  const names = new Set<string>();
  for (const owner of owners) {
    const { node, shard, host, port } = owner ?? {};
    if (typeof node !== "string" || node === "" || node.length > 64 || typeof host !== "string")
      throw bad(`an owner without a node's name or host`, "both");
    if (host.length > 255) throw bad(`a host of ${host.length} characters`, "at most 255");
    if (!Number.isInteger(shard) || shard < 0 || shard > 65_535)
      throw bad(`shard ${shard}`, "a whole number from 0 to 65535");
    if (!Number.isInteger(port) || port < 0 || port > 65_535)
      throw bad(`port ${port}`, "a whole number from 0 to 65535");
    const name = `${node}/${shard}`;
    if (names.has(name)) throw bad(`two owners ${name}`, "each once");
    names.add(name);
  }
}

/**
 * What slots a placement gives to whom, as a number: XXH64 of the text `SLOTS\n`, then `NODE/SHARD COUNT\n` for each run.
 * Neither epoch nor addresses are part of it.
 */
export function placementFingerprint({ owners, ownerOf }: Pick<SlotMap, "owners" | "ownerOf">): string {
  const runs = runsOf(ownerOf);
  const lines = [`${ownerOf.length}`];
  for (const [i, owner] of runs.owners.entries()) {
    const { node, shard } = owners[owner];
    lines.push(`${node}/${shard} ${runs.lengths[i]}`);
  }
  const text = new TextEncoder().encode(`${lines.join("\n")}\n`);
  return xxh64(text).toString(16).padStart(16, "0");
}

function bad(found: string, expected: string, cause?: unknown): EmbershardError {
  return new EmbershardError("BAD_FRAME", `slot map: found ${found}, expected ${expected}`, { cause });
}
