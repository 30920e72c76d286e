// Stores that stand alone, and those that are a part of a cluster.
import { EmbershardError } from "../base/errors.js";
import type { PlacementRecord } from "../ring/placement-record.js";

/**
 * Refuses to open the directory of a cluster's node as a store that stands alone: it would take keys of slots that others own.
 *
 * @throws UNSUPPORTED.
 */
export function checkStandsAlone(
  stored: { readonly placement?: PlacementRecord } | undefined,
  directory: string,
): void {
  if (stored?.placement === undefined) return;
  const { node } = stored.placement;
  throw new EmbershardError(
    "UNSUPPORTED",
    `${directory} holds the data of node "${node}" of a cluster: serve it with its cluster file, \`embershard serve --cluster FILE --node ${node} --dir ${directory}\`, and \`connect\` to that`,
  );
}
