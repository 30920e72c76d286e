import { EmbershardError } from "../base/errors.js";
import type { PlacementRecord } from "../ring/placement-record.js";
import { placementFingerprint, type SlotMap } from "../ring/slot-map.js";

/** What a node is about to serve. */
export interface WantedPlacement {
  /** What errors call the directory and the file. */
  readonly directory: string;
  readonly file: string;
  /** Its name in the cluster. */
  readonly node: string;
  readonly map: SlotMap;
}

/**
 * What a directory that `node` is about to serve must say about its placement, checked against what it says. Rows lie where the
 * slot map was that they came under; this version moves none, so another map over existing data is refused.
 *
 * `stored` is the directory's identity, undefined where there is no store yet. A store that stood alone can become
 * the only owner of a cluster. The same slots, nodes and shards at other addresses or with another epoch are the same placement.
 *
 * @returns the record to write where there is none.
 * @throws INVALID_OPTIONS for a node that the file does not name; SHARD_COUNT; UNSUPPORTED for another placement.
 */
export function checkPlacement(
  stored: { readonly shards: number; readonly placement?: PlacementRecord } | undefined,
  { directory, file, node, map }: WantedPlacement,
): PlacementRecord {
  const shards = map.owners.filter((owner) => owner.node === node).length;
  if (shards === 0) {
    const names = [...new Set(map.owners.map((owner) => owner.node))].join(", ");
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `${file}: found no node "${node}", expected one of ${names}`,
    );
  }
  const wanted = { node, fingerprint: placementFingerprint(map) };
  if (stored === undefined) return wanted;
  const { placement } = stored;
  if (placement !== undefined && placement.node !== node)
    throw new EmbershardError(
      "UNSUPPORTED",
      `${directory} holds the data of node "${placement.node}", and was to be served as "${node}": ` +
        "give each node its own directory",
    );
  if (placement === undefined && map.owners.some((owner) => owner.node !== node))
    throw new EmbershardError(
      "UNSUPPORTED",
      `${directory} holds a store of all slots, and ${file} gives some of them to other nodes. Slots cannot move yet: ` +
        "export its tables and import them into the cluster",
    );
  if (placement !== undefined && placement.fingerprint !== wanted.fingerprint)
    throw new EmbershardError(
      "UNSUPPORTED",
      `${directory} holds data placed by another cluster file: found placement ${wanted.fingerprint} in ${file}, ` +
        `expected ${placement.fingerprint}. Slots cannot move yet: restore names, weights and shards of its nodes, ` +
        "or export all tables, and import them into an empty cluster",
    );
  if (stored.shards !== shards)
    throw new EmbershardError(
      "SHARD_COUNT",
      `${directory} has ${stored.shards} shards, ${file} gives node "${node}" ${shards}`,
    );
  return wanted;
}
