import type { Store } from "../api/store-types.js";
import type { ConnectOptions } from "./client-options.js";

export type { ConnectOptions } from "./client-options.js";

/**
 * Opens the store that nodes serve: `ember://host:port`, or several hosts separated by commas, of which any that answers
 * says where the others are. Everything is as with `openStore`; what is not supported over the wire yet says UNSUPPORTED.
 *
 * @throws INVALID_ARGUMENT, INVALID_OPTIONS, UNAVAILABLE when no node answers, PROTOCOL
 */
export async function connect(address: string, options: ConnectOptions = {}): Promise<Store> {
  // Only now: a user of an embedded store loads no network code.
  const { openClient } = await import("./open-client.js");
  return openClient(address, options);
}
