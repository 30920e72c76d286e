// The cluster file: a JSON document that says which nodes there are. Every node and the command line read the same one.
import { readFile } from "node:fs/promises";
import { describe, OptionReader, type Range } from "../api/option-reader.js";
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { type CompleteMember, completeMembers, defaultSlots, type Member } from "../ring/members.js";
import { firstMap } from "../ring/placement.js";
import type { SlotMap } from "../ring/slot-map.js";

export interface ClusterFile {
  /** In the order of their names. Each has a host and a port. */
  readonly nodes: readonly CompleteMember[];
  /** 16,384. */
  readonly slots: number;
  /** Copies of each row, the owner's included: 1. */
  readonly replicas: number;
  /** The version of the slot map that the file describes. Who changes the file raises it. */
  readonly epoch: number;
}

const whole = (least: number, most: number): Range => ({
  holds: (x) => Number.isInteger(x) && x >= least && x <= most,
  says: `a whole number from ${least} to ${most}`,
});
/** A name or an IPv4 address; an IPv6 address, which has two colons at least. */
const hostPattern = /^(?:[A-Za-z0-9_][A-Za-z0-9._-]{0,254}|(?=(?:[^:]*:){2})[0-9a-fA-F:.]+(?:%[\w.-]+)?)$/;

/**
 * Reads and checks a cluster file.
 *
 * @throws IO if it cannot be read, INVALID_OPTIONS that names file, node and field, and what is expected there.
 */
export async function readClusterFile(path: string): Promise<ClusterFile> {
  const text = await readFile(path, "utf8").catch((cause) => {
    throw new EmbershardError("IO", `cluster file ${path} cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  });
  return parseClusterFile(text, `cluster file ${path}`);
}

/**
 * A cluster file's text, checked. `what` is what errors call it.
 *
 * @throws INVALID_OPTIONS.
 */
export function parseClusterFile(text: string, what: string): ClusterFile {
  const read = new OptionReader(what, parse(text, what));
  const given = read.any("nodes");
  if (!Array.isArray(given) || given.length === 0)
    throw refusal(what, "nodes", given, "an array of at least one node");
  const members = given.map((node, i) => nodeOf(`${what}, node ${i}`, node));
  const slots = read.number(
    "slots",
    { holds: (x) => x === defaultSlots, says: `${defaultSlots}` },
    defaultSlots,
  );
  const replicas = read.number("replicas", { holds: (x) => x === 1, says: "1: copies are not kept yet" }, 1);
  const epoch = read.number("epoch", whole(1, 2 ** 24), 1);
  read.end();
  const nodes = complete(what, members);
  checkAddresses(what, nodes);
  return { nodes, slots, replicas, epoch };
}

/** Who owns which slots: a function of the nodes' names, weights and shards. */
export function placementOf({ nodes, slots, epoch }: ClusterFile): SlotMap {
  return { ...firstMap(nodes, { slots }), epoch };
}

function parse(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new EmbershardError("INVALID_OPTIONS", `${what} is not JSON: ${(cause as Error).message}`, {
      cause,
    });
  }
}

function nodeOf(what: string, given: unknown): Member {
  const read = new OptionReader(what, given);
  const name = textOf(what, "name", read.any("name"), 64);
  const host = textOf(what, "host", read.any("host"), 255);
  if (!hostPattern.test(host)) throw refusal(what, "host", host, "a host name or an address, without a port");
  const shards = read.number("shards", whole(1, LIMITS.threads), 1);
  const port = read.number("port", whole(1, 65_535 - shards));
  const weight = read.number(
    "weight",
    { holds: (x) => x >= 0.001 && x <= 100_000, says: "a number from 0.001 to 100000" },
    1,
  );
  const zone = read.any("zone");
  read.end();
  return {
    name,
    host,
    port,
    weight,
    shards,
    ...(zone !== undefined && { zone: textOf(what, "zone", zone, 64) }),
  };
}

function textOf(what: string, field: string, found: unknown, most: number): string {
  if (typeof found === "string" && found !== "" && found.length <= most) return found;
  throw refusal(what, field, found, `a text of 1 to ${most} characters`);
}

function complete(what: string, members: readonly Member[]): CompleteMember[] {
  try {
    return completeMembers(members);
  } catch (cause) {
    throw new EmbershardError("INVALID_OPTIONS", `${what}: ${(cause as Error).message}`, { cause });
  }
}

/** A node has the ports from its own to its own + shards. */
function checkAddresses(what: string, nodes: readonly CompleteMember[]): void {
  const byPort = [...nodes].sort((a, b) => (a.host === b.host ? a.port - b.port : a.host < b.host ? -1 : 1));
  for (let i = 1; i < byPort.length; i++) {
    const [one, other] = [byPort[i - 1], byPort[i]];
    if (one.host !== other.host || one.port + one.shards < other.port) continue;
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `${what}: found port ${other.port} of ${other.name} among ports ${one.port} to ${one.port + one.shards} ` +
        `of ${one.name}, expected others: a node has its own and one for each shard`,
    );
  }
}

function refusal(what: string, field: string, found: unknown, expected: string): EmbershardError {
  return new EmbershardError(
    "INVALID_OPTIONS",
    `${what}: found ${field} ${describe(found)}, expected ${expected}`,
  );
}
