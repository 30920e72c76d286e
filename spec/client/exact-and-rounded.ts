// Two clients of one cluster: one is told that what it sends or gets may be rounded, the other not.
import * as assert from "uvu/assert";
import type { ConnectOptions, Store } from "../../lib/index.js";
import { ServedCluster } from "./served-cluster.js";

export interface Both {
  readonly cluster: ServedCluster;
  readonly exact: Store;
  readonly rounded: Store;
  readonly end: () => Promise<void>;
}

/** A cluster, and a client of each kind. */
export async function openBoth(shards: number, rounding: ConnectOptions): Promise<Both> {
  const cluster = await ServedCluster.open(shards);
  const [exact, rounded] = [await cluster.connect(), await cluster.connect(rounding)];
  const end = async () => {
    await exact.close();
    await rounded.close();
    await cluster.stop();
    assert.equal(cluster.failures, []);
  };
  return { cluster, exact, rounded, end };
}
