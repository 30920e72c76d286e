// What a node serves and where: by itself, or as one of a cluster.
import { resolve } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { inspectDirectory } from "../directory/identity.js";
import { checkStandsAlone } from "../directory/standing-alone.js";
import { firstMap } from "../ring/placement.js";
import type { PlacementRecord } from "../ring/placement-record.js";
import type { SlotMap } from "../ring/slot-map.js";
import { placementOf as clusterMap, readClusterFile } from "./cluster-file.js";
import { checkPlacement } from "./placement-check.js";
import { type Endpoint, endpointText } from "./setting-kinds.js";
import type { NodeSettings } from "./setting-table.js";
import { demandPorts, demandPrivate } from "./settings.js";

/** A node of the slot map, as status tells of it. */
export interface PlacedNode {
  readonly name: string;
  /** Of its control port. */
  readonly address: string;
  readonly shards: number;
  readonly slots: number;
}

export interface Placement {
  readonly node: string;
  readonly shards: number;
  readonly listen: Endpoint;
  /** What the directory of a cluster's node remembers. */
  readonly record: PlacementRecord | undefined;
  /** The slot map, once it is known which ports this node's listeners have. */
  mapWith(shardPorts: readonly number[]): SlotMap;
  /** All nodes; `own` is where this one's control port listens. */
  nodesOf(map: SlotMap, own: Endpoint): PlacedNode[];
}

/** What a node that stands alone is called. */
const aloneName = "node";
const usualListen: Endpoint = { host: "127.0.0.1", port: 7400 };

/**
 * What settings, directory and cluster file say together.
 *
 * @throws INVALID_OPTIONS, SHARD_COUNT, UNSUPPORTED for a file that places the directory's rows elsewhere, NOT_A_STORE, IO
 */
export function placementOf(settings: NodeSettings & { readonly dir: string }): Promise<Placement> {
  return settings.cluster === undefined ? placedAlone(settings) : placedInCluster(settings, settings.cluster);
}

async function placedAlone(settings: NodeSettings & { readonly dir: string }): Promise<Placement> {
  const { dir, advertise, listen = usualListen } = settings;
  const stored = await inspectDirectory(resolve(dir), { create: true, shards: settings.shards });
  checkStandsAlone(stored, dir);
  const shards = settings.shards ?? stored?.shards ?? 1;
  const told = advertised(advertise, listen);
  demandShardPorts("listen", listen, shards);
  demandShardPorts("advertise", told, shards);
  return {
    node: aloneName,
    shards,
    listen,
    record: undefined,
    mapWith(ports) {
      const map = firstMap([{ name: aloneName, shards }]);
      const owners = map.owners.map((owner, i) => ({
        ...owner,
        host: told.host,
        port: told.port === 0 ? ports[i] : told.port + 1 + i,
      }));
      return { ...map, owners };
    },
    nodesOf: (map, own) => {
      const address = { host: told.host || own.host, port: told.port === 0 ? own.port : told.port };
      return [{ name: aloneName, address: endpointText(address), shards, slots: map.ownerOf.length }];
    },
  };
}

/** Settings are checked before the number of shards is known, where the directory or the cluster file says it. */
function demandShardPorts(name: string, address: Endpoint, shards: number): void {
  demandPorts(address, shards, `${name} ${endpointText(address)} for ${shards} shards`);
}

/** Where clients are told to connect to; port 0: to the ports that are listened on. */
function advertised(advertise: Endpoint | undefined, { host }: Endpoint): Endpoint {
  if (advertise !== undefined) return advertise;
  // Every address of this machine: clients go where they have the slot map from.
  return { host: host === "0.0.0.0" || host === "::" ? "" : host, port: 0 };
}

async function placedInCluster(
  settings: NodeSettings & { readonly dir: string },
  path: string,
): Promise<Placement> {
  const { dir, insecure } = settings;
  const node = settings.node!;
  const file = await readClusterFile(path);
  const map = clusterMap(file);
  const what = `cluster file ${path}`;
  const record = checkPlacement(await inspectDirectory(resolve(dir), { create: true }), {
    directory: dir,
    file: what,
    node,
    map,
  });
  const member = file.nodes.find(({ name }) => name === node)!;
  if (settings.shards !== undefined && settings.shards !== member.shards)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `found shards ${settings.shards}, ${what} gives node "${node}" ${member.shards}: leave it out`,
    );
  const listen = settings.listen ?? { host: member.host, port: member.port };
  demandShardPorts("listen", listen, member.shards);
  demandPrivate(listen, insecure, `host ${listen.host} (${what})`);
  return {
    node,
    shards: member.shards,
    listen,
    record,
    mapWith: () => map,
    nodesOf: () =>
      file.nodes.map(({ name, host, port, shards }) => ({
        name,
        address: endpointText({ host, port }),
        shards,
        slots: map.ownerOf.reduce((sum, owner) => sum + (map.owners[owner].node === name ? 1 : 0), 0),
      })),
  };
}
