import { EmbershardError } from "../base/errors.js";
import { elementName } from "../wire/columns.js";
import { type ElementType, Feature } from "../wire/generated/frame-types.js";
import type { Channel } from "./channel.js";

/** Demands that a node can do something. @throws UNSUPPORTED */
export function demandFeature({ name, welcome }: Channel, feature: keyof typeof Feature, what: string): void {
  if ((welcome.features & (1 << Feature[feature])) !== 0) return;
  throw new EmbershardError("UNSUPPORTED", `${name} does not support ${what}: upgrade it`);
}

/** Demands that a node gives or takes numbers of these types. @throws UNSUPPORTED */
export function demandElements(channel: Channel, elements: readonly ElementType[], what: string): void {
  for (const element of elements) {
    const name = elementName(element);
    if (name !== "f32") demandFeature(channel, name, `${what} as ${name}`);
  }
}
