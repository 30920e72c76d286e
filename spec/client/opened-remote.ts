import type { Opened } from "../laws/twin.js";
import { ServedCluster } from "./served-cluster.js";

/** A store on so many shards, for the laws. */
export async function openServed(shards: number): Promise<Opened> {
  const cluster = await ServedCluster.open(shards);
  let store = await cluster.connect();
  return {
    store,
    abortsForSure: false,
    async reopen() {
      await store.close();
      await cluster.stop();
      await cluster.start();
      store = await cluster.connect();
      return store;
    },
    async end() {
      await store.close();
      await cluster.stop();
      if (cluster.failures.length > 0) throw cluster.failures[0];
    },
  };
}
