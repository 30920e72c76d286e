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

/** A slot map as JSON: what `runsOf` says stands for `ownerOf`. */
export interface SlotMapJson {
  readonly epoch: number;
  readonly slots: number;
  readonly owners: readonly Owner[];
  readonly runs: readonly number[];
}

/** `ownerOf` run by run: pairs of an owner and the number of slots in a row that are its, less one. u16[2 * runs]. */
export function runsOf(ownerOf: Uint16Array): Uint16Array {
  const runs = new Uint16Array(2 * ownerOf.length);
  let at = -2;
  for (let slot = 0; slot < ownerOf.length; slot++) {
    if (slot > 0 && ownerOf[slot] === ownerOf[slot - 1]) runs[at + 1]++;
    else {
      at += 2;
      runs[at] = ownerOf[slot];
    }
  }
  return runs.slice(0, at + 2);
}

/**
 * `ownerOf` from its runs.
 *
 * @throws BAD_FRAME if they do not name `slots` slots of owners below `owners`.
 */
export function ownersOfRuns(runs: ArrayLike<number>, slots: number, owners: number): Uint16Array {
  const ownerOf = new Uint16Array(slots);
  let slot = 0;
  if (runs.length % 2 !== 0) throw bad(`${runs.length} numbers in its runs`, "pairs");
  for (let i = 0; i < runs.length; i += 2) {
    const end = slot + runs[i + 1] + 1;
    // Negations, so that NaN is refused, too.
    if (!(runs[i] >= 0 && runs[i] < owners)) throw bad(`owner ${runs[i]}`, `one of ${owners}`);
    if (!(end > slot && end <= slots)) throw bad(`runs beyond slot ${slot}`, `${slots} slots`);
    ownerOf.fill(runs[i], slot, end);
    slot = end;
  }
  if (slot !== slots) throw bad(`owners of ${slot} slots`, `of ${slots}`);
  return ownerOf;
}

/** The map as plain data, for JSON. */
export function slotMapJson({ epoch, owners, ownerOf }: SlotMap): SlotMapJson {
  return { epoch, slots: ownerOf.length, owners, runs: [...runsOf(ownerOf)] };
}

/**
 * A map from what another side sent, checked.
 *
 * @throws BAD_FRAME that says what is wrong with it.
 */
export function readSlotMap(json: unknown): SlotMap {
  if (typeof json !== "object" || json === null) throw bad(String(json), "an object");
  const { epoch, slots, owners, runs } = json as Partial<Record<keyof SlotMapJson, unknown>>;
  if (!Array.isArray(owners) || !Array.isArray(runs)) throw bad("no owners or no runs", "arrays of both");
  if (typeof slots !== "number" || !runs.every((one) => Number.isInteger(one)))
    throw bad("slots or runs that are no numbers", "whole numbers");
  try {
    checkSlots(slots);
  } catch (cause) {
    throw bad(`${slots} slots`, "a power of two", cause);
  }
  const ownerOf = ownersOfRuns(runs as number[], slots, owners.length);
  const map = { epoch: epoch as number, owners: owners as Owner[], ownerOf };
  checkOwners(map);
  return map;
}

/**
 * Refuses a map whose epoch or owners are not what they must be. Of runs, `ownersOfRuns` has taken care.
 *
 * @throws BAD_FRAME.
 */
export function checkOwners({ epoch, owners }: SlotMap): void {
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
  for (let i = 0; i < runs.length; i += 2) {
    const { node, shard } = owners[runs[i]];
    lines.push(`${node}/${shard} ${runs[i + 1] + 1}`);
  }
  const text = new TextEncoder().encode(`${lines.join("\n")}\n`);
  return xxh64(text).toString(16).padStart(16, "0");
}

function bad(found: string, expected: string, cause?: unknown): EmbershardError {
  return new EmbershardError("BAD_FRAME", `slot map: found ${found}, expected ${expected}`, { cause });
}
