/** What a directory says about its part in a cluster: a field of the file `store`. Absent in a store that stands alone. */
export interface PlacementRecord {
  /** The node's name in the cluster. */
  readonly node: string;
  /** The cluster's slot map, as `placementFingerprint` says it. */
  readonly fingerprint: string;
}

/** Whether what stands in a file is such a record. */
export function isPlacementRecord(found: unknown): found is PlacementRecord {
  if (typeof found !== "object" || found === null) return false;
  const { node, fingerprint } = found as Partial<PlacementRecord>;
  return typeof node === "string" && typeof fingerprint === "string" && /^[0-9a-f]{16}$/.test(fingerprint);
}
