// Every setting of a node, as data: the command line, the environment, files and documents are made from it.
import { LIMITS } from "../base/limits.js";
import {
  bytes,
  choice,
  count,
  duration,
  type Endpoint,
  endpoint,
  hostOrEndpoint,
  type SettingKind,
  text,
  yesOrNo,
} from "./setting-kinds.js";

/** What a setting is. Its name is the key in a file; flag and variable are made from it. */
export interface SettingSpec<T> {
  readonly kind: SettingKind<T>;
  /** What is in force when nobody says otherwise; undefined where that is not a value. */
  readonly fallback: T | undefined;
  /** What the fallback means, where the value does not say it. */
  readonly otherwise?: string;
  readonly help: string;
}

/** All of a node's settings: bytes in bytes, times in milliseconds. What may be undefined has no default value. */
export interface NodeSettings {
  readonly dir: string | undefined;
  readonly listen: Endpoint | undefined;
  readonly advertise: Endpoint | undefined;
  readonly shards: number | undefined;
  readonly cluster: string | undefined;
  readonly node: string | undefined;
  readonly insecure: boolean;
  readonly frameBytes: number;
  readonly connectionBytes: number;
  readonly inFlightBytes: number;
  readonly connections: number;
  readonly connectionsPerAddress: number;
  readonly handshakeTimeoutMs: number;
  readonly idleTimeoutMs: number;
  readonly memoryBytes: number;
  readonly threadHeapBytes: number;
  readonly arenaBytes: number;
  readonly hugePages: "auto" | "off";
  readonly logBufferBytes: number;
  readonly checkpointEveryMs: number;
  readonly checkpointLogBytes: number | undefined;
  readonly drainTimeoutMs: number;
  readonly sessionExpiryMs: number;
  readonly supervise: boolean;
}

export type SettingName = keyof NodeSettings;
export type SettingTable = {
  readonly [Name in SettingName]: SettingSpec<NonNullable<NodeSettings[Name]>>;
};

const kib = 2 ** 10;
const mib = 2 ** 20;
const gib = 2 ** 30;
const tib = 2 ** 40;

/** What the machine is, as far as settings depend on it. */
export interface Machine {
  /** Bytes of memory that this process may use. */
  readonly memoryBytes: number;
}

/** The table of settings. */
export function settingTable(machine: Machine): SettingTable {
  return {
    dir: {
      kind: text("dir", "the path of a directory"),
      fallback: undefined,
      otherwise: "none: it must be given",
      help: "The store's directory; made where there is none.",
    },
    listen: {
      kind: endpoint,
      fallback: undefined,
      otherwise: "127.0.0.1:7400, or what the cluster file says",
      help: "Where the node listens. This is the control port; shard i has the port i + 1 above it. With port 0 the system chooses.",
    },
    advertise: {
      kind: hostOrEndpoint,
      fallback: undefined,
      otherwise: "what it listens on",
      help: "Where clients are told to connect to, where that is not what the node listens on. PORT is for control, the shards' are above it.",
    },
    shards: {
      kind: count(1, LIMITS.threads),
      fallback: undefined,
      otherwise: "as many as the directory has; 1 for a new one",
      help: "Shards: each is a thread with a listener, memory and a directory of its own.",
    },
    cluster: {
      kind: text("file", "the path of a cluster file"),
      fallback: undefined,
      otherwise: "none: a node by itself",
      help: "The file that says which nodes there are. What `listen` and `shards` are comes from it.",
    },
    node: {
      kind: text("name", "the name of a node in the cluster file"),
      fallback: undefined,
      otherwise: "none",
      help: "Which of the cluster's nodes this one is.",
    },
    insecure: {
      kind: yesOrNo,
      fallback: false,
      help: "Allow listening beyond this machine: nothing is encrypted, and everybody is let in.",
    },
    frameBytes: {
      kind: bytes(64 * kib, 256 * mib),
      fallback: 4 * mib,
      help: "The longest message. Clients are told, and cut their requests to fit.",
    },
    connectionBytes: {
      kind: bytes(64 * kib, 16 * gib),
      fallback: 64 * mib,
      help: "Bytes of requests under way and replies not yet taken of one connection; more is refused with OVERLOADED.",
    },
    inFlightBytes: {
      kind: bytes(64 * kib, tib),
      fallback: 512 * mib,
      help: "The same of all connections of a shard.",
    },
    connections: {
      kind: count(1, 1_000_000),
      fallback: 4096,
      help: "Connections of each listener.",
    },
    connectionsPerAddress: {
      kind: count(1, 1_000_000),
      fallback: 1024,
      help: "Of them, those from one address.",
    },
    handshakeTimeoutMs: {
      kind: duration(100, 600_000),
      fallback: 10_000,
      help: "A connection that has not said hello by then is dropped.",
    },
    idleTimeoutMs: {
      kind: duration(8000, 960_000, "never"),
      fallback: 300_000,
      help: "A connection without a byte for so long is dropped. In whole seconds.",
    },
    memoryBytes: {
      kind: bytes(32 * mib, 64 * tib),
      fallback: Math.floor((machine.memoryBytes * 3) / 4 / mib) * mib,
      otherwise: "three quarters of the machine's memory",
      help: "Memory for rows and requests, over all shards. Beyond it what takes more is refused with OVERLOADED; pulls go on.",
    },
    threadHeapBytes: {
      kind: bytes(64 * mib, 64 * gib),
      fallback: 1 * gib,
      help: "JavaScript memory of a shard's thread; rows are not in it.",
    },
    arenaBytes: {
      kind: bytes(LIMITS.minimumArenaBytes, LIMITS.arenaBytes),
      fallback: LIMITS.arenaBytes,
      help: "Most bytes of one arena.",
    },
    hugePages: {
      kind: choice("auto", "off"),
      fallback: "auto",
      help: "Back memory with pages of 2 MiB where the system allows it.",
    },
    logBufferBytes: {
      kind: bytes(64 * kib, 2 * gib),
      fallback: 32 * mib,
      help: "Bytes of pushes, per shard, that may wait to be written.",
    },
    checkpointEveryMs: {
      kind: duration(10, 2 ** 31 - 1, "never by time"),
      fallback: 300_000,
      help: "How often a checkpoint is written.",
    },
    checkpointLogBytes: {
      kind: bytes(64 * kib, 8 * tib),
      fallback: undefined,
      otherwise: "twice the bytes of the rows, 256MiB at least",
      help: "Bytes of log, per shard, after which a checkpoint is written.",
    },
    drainTimeoutMs: {
      kind: duration(0, 600_000),
      fallback: 10_000,
      help: "Time that requests get to finish when the node stops.",
    },
    sessionExpiryMs: {
      kind: duration(1000, 30 * 86_400_000),
      fallback: 3_600_000,
      help: "A worker that has not been connected for so long is forgotten; retries of its pushes are refused from then on.",
    },
    supervise: {
      kind: yesOrNo,
      fallback: true,
      help: "Run under a parent process that starts the node again when it crashes.",
    },
  };
}

/** connectionsPerAddress -> connections-per-address, drainTimeoutMs -> drain-timeout: a flag's value has its unit. */
export function flagOf(name: string): string {
  return name.replace(/Ms$/, "").replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** connectionsPerAddress -> EMBERSHARD_CONNECTIONS_PER_ADDRESS. */
export function variableOf(name: string): string {
  return `EMBERSHARD_${flagOf(name).replaceAll("-", "_").toUpperCase()}`;
}
