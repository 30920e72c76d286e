import { EmbershardError } from "../base/errors.js";
import { Feature } from "../wire/generated/frame-types.js";
import type { Channel } from "./channel.js";

/** Demands that a node can do something. @throws UNSUPPORTED */
export function demandFeature({ name, welcome }: Channel, feature: keyof typeof Feature, what: string): void {
  if ((welcome.features & (1 << Feature[feature])) !== 0) return;
  throw new EmbershardError("UNSUPPORTED", `${name} does not support ${what}: upgrade it`);
}
