import { ADDRESS_SCHEME, isAddress } from "../base/address.js";
import { EmbershardError } from "../base/errors.js";
import type { Address } from "../net/connection.js";

/** Where a node's control port is when the address does not say. */
const usualPort = 7400;

/**
 * The nodes that an address names: `ember://host:port`, several ones behind commas. Any one of a cluster's nodes knows the
 * others; more than one are there to be asked when the first is away. IPv6 addresses stand in brackets.
 *
 * @throws INVALID_ARGUMENT
 */
export function parseAddress(address: unknown): Address[] {
  if (typeof address !== "string" || !isAddress(address)) throw refusal(address);
  const hosts = address.slice(ADDRESS_SCHEME.length).replace(/\/$/, "").split(",");
  return hosts.map((host) => {
    const match = /^(?:\[([0-9a-fA-F:.]+)\]|([A-Za-z0-9][A-Za-z0-9._-]*))(?::(\d{1,5}))?$/.exec(host);
    const port = match?.[3] === undefined ? usualPort : Number(match[3]);
    if (!match || port < 1 || port > 65_535) throw refusal(address);
    return { host: (match[1] ?? match[2]) as string, port };
  });
}

function refusal(address: unknown): EmbershardError {
  const found = typeof address === "string" ? `"${address}"` : typeof address;
  return new EmbershardError(
    "INVALID_ARGUMENT",
    `connect: found address ${found}, expected "ember://host:port", several hosts separated by commas`,
  );
}
