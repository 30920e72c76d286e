import { EmbershardError } from "../base/errors.js";

/** A node as placement sees it. */
export interface Member {
  /** Letters, digits, `.`, `_` and `-`, at most 64, a letter or digit first. Slots follow the name, not the address. */
  readonly name: string;
  /** Its part of the slots relative to that of others: 0.001 to 100,000, read in thousandths; 1 unless given. */
  readonly weight?: number;
  /** What it shares its fate with (a rack, a data centre). Nodes that name none share one. */
  readonly zone?: string;
  /** Its shards, 1 to 1,024; 1 unless given. */
  readonly shards?: number;
  /** Where clients reach it; "" unless given. */
  readonly host?: string;
  /** Its control port: shard i listens on port + 1 + i. 0 (unless given): not known yet. */
  readonly port?: number;
}

/** A member with everything said. */
export interface CompleteMember extends Required<Member> {
  /** The weight in thousandths: shares are quotients of integers, the same in every language. */
  readonly weightUnits: number;
}

/** Slots of a cluster. */
export const defaultSlots = 16_384;
/** Most slots: numbers of slots have 16 bits. */
export const mostSlots = 65_536;
/** Most members, so that weight units times slots stay exact in a double. */
export const mostMembers = 1024;
/** Most shards of all members together: an owner's number has 16 bits, and 65,535 is nobody's. */
export const mostOwners = 65_535;
const mostShards = 1024;
const namePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;

/**
 * Members complete, in the order of their names, which is the order of everything that is placed.
 *
 * @throws INVALID_OPTIONS that names the member and the field.
 */
export function completeMembers(members: readonly Member[]): CompleteMember[] {
  if (members.length === 0 || members.length > mostMembers)
    throw refusal("members", `${members.length}`, `1 to ${mostMembers}`);
  const complete = members.map(completeMember).sort((a, b) => (a.name < b.name ? -1 : 1));
  for (let i = 1; i < complete.length; i++)
    if (complete[i].name === complete[i - 1].name)
      throw refusal("members", `two named "${complete[i].name}"`, "a name for each");
  const owners = complete.reduce((sum, { shards }) => sum + shards, 0);
  if (owners > mostOwners) throw refusal("members", `${owners} shards together`, `at most ${mostOwners}`);
  return complete;
}

function completeMember(member: Member): CompleteMember {
  const { name, weight = 1, zone = "", shards = 1, host = "", port = 0 } = member;
  if (typeof name !== "string" || !namePattern.test(name))
    throw refusal(
      "a member's name",
      JSON.stringify(name) ?? "none",
      "1 to 64 letters, digits, dots, underscores and hyphens, a letter or digit first",
    );
  const weightUnits = Math.round(1000 * weight);
  if (!(weightUnits >= 1 && weightUnits <= 1e8))
    throw refusal(`weight of ${name}`, String(weight), "a number from 0.001 to 100000");
  if (!Number.isInteger(shards) || shards < 1 || shards > mostShards)
    throw refusal(`shards of ${name}`, String(shards), `a whole number from 1 to ${mostShards}`);
  if (!Number.isInteger(port) || port < 0 || port + shards > 65_535)
    throw refusal(
      `port of ${name}`,
      String(port),
      `0, or a port that leaves room for those of ${shards} shards below 65536`,
    );
  return { name, weight, zone, shards, host, port, weightUnits };
}

/** Refuses a number of slots that is not a power of two from 2 to 65,536: a slot is the top bits of a hash. */
export function checkSlots(slots: number): void {
  if (!Number.isInteger(slots) || slots < 2 || slots > mostSlots || (slots & (slots - 1)) !== 0)
    throw refusal("slots", String(slots), `a power of two from 2 to ${mostSlots}`);
}

function refusal(what: string, found: string, expected: string): EmbershardError {
  return new EmbershardError("INVALID_OPTIONS", `${what}: found ${found}, expected ${expected}`);
}
