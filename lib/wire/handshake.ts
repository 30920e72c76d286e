// What two sides agree on before anything else.
import { EmbershardError } from "../base/errors.js";
import { replyItems, requestItems, type Terms } from "./frame.js";
import { Feature, type Hello, type Welcome } from "./generated/frame-types.js";

/** The version of the protocol that this code speaks. The minor one rises with each addition. */
export const PROTOCOL = { major: 1, minor: 0 } as const;

/** The bits of features. */
export function featureBits(...names: readonly (keyof typeof Feature)[]): number {
  return names.reduce((bits, name) => (bits | (1 << Feature[name])) >>> 0, 0);
}

/** What a connection goes by once both sides have spoken. */
export interface Agreement extends Terms {
  /** The lesser of both sides' minor versions. */
  readonly minor: number;
}

/**
 * Of the side that is connected to: what it answers a `Hello` with, when it offers `features`.
 *
 * @throws PROTOCOL for another major version
 */
export function agreeTo(hello: Hello, features: number): Agreement {
  if (hello.major !== PROTOCOL.major)
    throw new EmbershardError(
      "PROTOCOL",
      `the client speaks version ${hello.major}.${hello.minor} of the protocol, this node ${PROTOCOL.major}.${PROTOCOL.minor}: upgrade the older side`,
    );
  return {
    minor: Math.min(hello.minor, PROTOCOL.minor),
    features: (hello.features & features) >>> 0,
    items: requestItems,
  };
}

/**
 * Of the side that connected and offered `features`: what the other has agreed to.
 *
 * @throws PROTOCOL when that is not what was offered
 */
export function agreedIn(welcome: Welcome, features: number): Agreement {
  const { major, minor } = welcome;
  if (major !== PROTOCOL.major || minor > PROTOCOL.minor)
    throw new EmbershardError(
      "PROTOCOL",
      `the node answers with version ${major}.${minor} of the protocol, this client speaks ${PROTOCOL.major}.${PROTOCOL.minor}: upgrade the older side`,
    );
  const more = (welcome.features & ~features) >>> 0;
  if (more !== 0)
    throw new EmbershardError(
      "PROTOCOL",
      `the node agrees to features 0x${more.toString(16)}, which were not offered`,
    );
  return { minor, features: welcome.features, items: replyItems };
}
