// Frames of all kinds, of random content, such as a reader accepts.
import type { Prng } from "../../lib/base/prng.js";
import { columnsBytes } from "../../lib/wire/columns.js";
import type { FrameInput } from "../../lib/wire/frame.js";
import {
  type Body,
  type BodyInput,
  Column,
  type RowBatchInput,
  type SlotMapInput,
  type TableReplyInput,
  type WriteInput,
} from "../../lib/wire/generated/frame-types.js";

type Kind = Body["kind"];
type Maker<K extends Kind> = (random: Prng) => Extract<BodyInput, { kind: K }>;

/** One frame of a kind. Any u64, text and bytes; counts are small. */
export function sampleFrame(kind: Kind, random: Prng): FrameInput {
  const body = (makers[kind] as Maker<Kind>)(random);
  return {
    id: random.u32(),
    epoch: safe(random),
    deadlineMs: random.u32(),
    cut: random.below(2) * safe(random),
    version: random.below(2) * random.u32(),
    more: random.below(2) === 1,
    body,
  };
}

/** The kinds of frames, in the order of the schema's union. */
export const kinds: readonly Kind[] = [
  "Hello",
  "Welcome",
  "Goodbye",
  "Cancel",
  "Failure",
  "GetSlotMap",
  "SlotMap",
  "OpenTable",
  "TableReply",
  "DropTable",
  "ListTables",
  "TableList",
  "Pull",
  "Rows",
  "Push",
  "Assign",
  "Delete",
  "Done",
  "Contains",
  "Found",
  "Occurrences",
  "OccurrenceCounts",
  "Prefetch",
  "Scan",
  "ScanRows",
  "Evict",
  "Forget",
  "Decay",
  "WatchEvicted",
  "Evicted",
  "Checkpoint",
  "ListVersions",
  "DeleteVersion",
  "OpenVersion",
  "VersionReply",
  "CloseVersion",
  "Rollback",
  "Diff",
  "Changes",
  "ChangedRows",
  "GetMark",
  "Mark",
  "Stats",
  "Report",
  "EndScan",
  "Proceed",
];

const makers: { readonly [K in Kind]: Maker<K> } = {
  Hello: (random) => ({
    kind: "Hello",
    major: random.below(3),
    minor: random.below(9),
    features: random.u32(),
    software: text(random),
    worker: maybe(random, () => text(random)),
    session: long(random),
    resume: random.below(2) === 1,
    frameBytes: random.u32(),
  }),
  Welcome: (random) => ({
    kind: "Welcome",
    major: random.below(3),
    minor: random.below(9),
    features: random.u32(),
    software: text(random),
    node: text(random),
    store: text(random),
    shard: maybe(random, () => random.below(3)),
    worker: random.below(3),
    limits: {
      frameBytes: random.u32(),
      inFlightBytes: random.u32(),
      inFlight: random.u32(),
      keys: random.u32(),
      markBytes: random.u32(),
      parts: random.u32(),
    },
    slotMap: slotMap(random),
  }),
  Goodbye: (random) => ({
    kind: "Goodbye",
    code: random.below(40),
    message: text(random),
    retryAfterMs: random.u32(),
  }),
  Cancel: (random) => ({ kind: "Cancel", request: random.u32() }),
  Failure: (random) => ({
    kind: "Failure",
    code: random.below(40),
    message: text(random),
    retry: random.below(2) === 1,
    retryAfterMs: random.below(2) * random.u32(),
    part: maybe(random, () => random.below(9)),
    key: maybe(random, () => long(random)),
    slotMap: maybe(random, () => slotMap(random)),
  }),
  GetSlotMap: () => ({ kind: "GetSlotMap" }),
  SlotMap: (random) => slotMap(random),
  OpenTable: (random) => ({
    kind: "OpenTable",
    name: text(random),
    tensor: random.below(2) === 1,
    options: maybe(random, () => text(random)),
  }),
  TableReply: (random) => tableReply(random),
  DropTable: (random) => ({ kind: "DropTable", name: text(random) }),
  ListTables: () => ({ kind: "ListTables" }),
  TableList: (random) => ({ kind: "TableList", tables: several(random, () => tableReply(random)) }),
  Pull: (random) => {
    const parts = several(random, () => ({
      ...place(random),
      count: random.below(9),
      columns: Column.Values | (random.below(64) & ~Column.Values),
      element: element(random),
      create: random.below(2) === 1,
      counted: random.below(2) === 1,
      defaultValue: maybe(random, () => float(random)),
    }));
    return {
      kind: "Pull",
      parts,
      leastClock: safe(random),
      found: random.below(2) === 1,
      keys: keys(random, sum(parts)),
    };
  },
  Rows: (random) => {
    const parts = several(random, () => {
      const stateFloats = random.below(3);
      return {
        part: random.below(9),
        first: random.u32(),
        count: random.below(9),
        dim: 1 + random.below(9),
        stateFloats,
        element: element(random),
        columns:
          Column.Values | (stateFloats > 0 ? Column.State : 0) | (random.below(64) & ~3 & ~Column.Values),
      };
    });
    const found = maybe(random, () => bytes(random, Math.ceil(sum(parts) / 8)));
    return { kind: "Rows", clock: safe(random), parts, found, data: bytes(random, columnsBytes(parts)) };
  },
  Push: (random) => {
    const parts = several(random, () => ({
      ...writePart(random),
      stateFloats: 0,
      columns:
        Column.Values | (random.below(64) & (Column.Counts | Column.FirstCounter | Column.SecondCounter)),
      learningRate: maybe(random, () => float(random)),
    }));
    return {
      kind: "Push",
      write: write(random),
      parts,
      keys: keys(random, sum(parts)),
      data: bytes(random, columnsBytes(parts)),
    };
  },
  Assign: (random) => {
    const parts = several(random, () => {
      const stateFloats = random.below(3);
      const columns =
        Column.Values |
        (stateFloats > 0 ? Column.State : 0) |
        (random.below(2) * (Column.Counts | Column.LastStep));
      return { ...writePart(random), stateFloats, columns };
    });
    return {
      kind: "Assign",
      write: write(random),
      parts,
      keys: keys(random, sum(parts)),
      data: bytes(random, columnsBytes(parts)),
    };
  },
  Delete: (random) => ({ kind: "Delete", write: write(random), ...keyParts(random) }),
  Done: (random) => ({
    kind: "Done",
    clock: safe(random),
    touched: safe(random),
    lsn: safe(random),
    repeated: random.below(2) === 1,
  }),
  Contains: (random) => ({ kind: "Contains", ...keyParts(random) }),
  Found: (random) => {
    const count = random.below(30);
    return { kind: "Found", count, found: bytes(random, Math.ceil(count / 8)) };
  },
  Occurrences: (random) => ({ kind: "Occurrences", ...keyParts(random) }),
  OccurrenceCounts: (random) => ({
    kind: "OccurrenceCounts",
    counts: Uint32Array.from({ length: random.below(9) }, () => random.u32()),
  }),
  Prefetch: (random) => ({ kind: "Prefetch", ...keyParts(random) }),
  Scan: (random) => ({
    kind: "Scan",
    ...place(random),
    of: random.below(2) as 0 | 1,
    batch: random.u32(),
    cursor: maybe(random, () => bytes(random, random.below(20))),
  }),
  ScanRows: (random) => ({
    kind: "ScanRows",
    cursor: maybe(random, () => bytes(random, random.below(20))),
    rows: rowBatch(random),
  }),
  Evict: (random) => ({
    kind: "Evict",
    write: write(random),
    ...place(random),
    by: random.below(6) as 0 | 1 | 2 | 3 | 4 | 5,
    bound: random.normal(),
  }),
  Forget: (random) => ({
    kind: "Forget",
    write: write(random),
    ...place(random),
    unseenSince: maybe(random, () => random.below(2) * random.u32()),
    atMost: maybe(random, () => random.below(2) * random.u32()),
  }),
  Decay: (random) => ({ kind: "Decay", write: write(random), ...place(random) }),
  WatchEvicted: (random) => ({ kind: "WatchEvicted", ...place(random) }),
  Evicted: (random) => ({
    kind: "Evicted",
    reason: random.below(4) as 0 | 1 | 2 | 3,
    rows: rowBatch(random),
    missed: safe(random),
  }),
  Checkpoint: (random) => ({
    kind: "Checkpoint",
    version: maybe(random, () => text(random)),
    note: maybe(random, () => text(random)),
    keep: maybe(random, () => random.below(2) * random.u32()),
    cut: random.below(2) === 0 ? 0n : long(random),
  }),
  ListVersions: () => ({ kind: "ListVersions" }),
  DeleteVersion: (random) => ({
    kind: "DeleteVersion",
    name: text(random),
    cut: random.below(2) === 0 ? 0n : long(random),
  }),
  OpenVersion: (random) => ({ kind: "OpenVersion", name: text(random) }),
  VersionReply: (random) => ({
    kind: "VersionReply",
    number: random.u32(),
    tables: several(random, () => tableReply(random)),
    generation: safe(random),
  }),
  CloseVersion: (random) => ({ kind: "CloseVersion", number: random.u32() }),
  Rollback: (random) => ({
    kind: "Rollback",
    name: text(random),
    cut: random.below(2) === 0 ? 0n : long(random),
  }),
  Diff: (random) => ({
    kind: "Diff",
    from: text(random),
    to: maybe(random, () => text(random)),
    largest: random.u32(),
    cut: random.below(2) === 0 ? 0n : long(random),
  }),
  Changes: (random) => ({
    kind: "Changes",
    since: text(random),
    until: maybe(random, () => text(random)),
    tables: maybe(random, () => several(random, () => text(random))),
    batch: random.u32(),
    cursor: maybe(random, () => bytes(random, random.below(20))),
    cut: random.below(2) === 0 ? 0n : long(random),
  }),
  ChangedRows: (random) => ({
    kind: "ChangedRows",
    table: text(random),
    reset: random.below(2) === 1,
    rows: rowBatch(random),
    removed: keys(random, random.below(5)),
    cursor: maybe(random, () => bytes(random, random.below(20))),
    counters: maybe(random, () => several(random, () => text(random))),
  }),
  GetMark: () => ({ kind: "GetMark" }),
  Mark: (random) => ({
    kind: "Mark",
    mark: maybe(random, () => bytes(random, random.below(30))),
    lsn: safe(random),
  }),
  Stats: () => ({ kind: "Stats" }),
  Report: (random) => ({ kind: "Report", json: text(random) }),
  Proceed: (random) => ({
    kind: "Proceed",
    request: random.u32(),
    wait: random.below(2) === 1,
  }),
  EndScan: (random) => ({ kind: "EndScan", cursor: bytes(random, random.below(20)) }),
};

function slotMap(random: Prng): SlotMapInput {
  const owners = [
    ...several(random, () => owner(random)),
    owner(random), // one at least
  ];
  const count = 1 + random.below(5);
  const slotCount = 16384;
  const pick = (length: number) => Uint16Array.from({ length }, () => random.below(owners.length));
  const runs = pick(2 * count);
  for (let i = 0; i < count; i++) runs[2 * i + 1] = i > 0 ? 99 : slotCount - 100 * (count - 1) - 1;
  const replicaCount = 1 + random.below(3);
  return {
    kind: "SlotMap",
    epoch: safe(random),
    slotCount,
    owners,
    runs,
    replicaCount,
    runReplicas: replicaCount === 1 ? undefined : pick(count * (replicaCount - 1)),
  };
}

function owner(random: Prng) {
  return {
    node: text(random),
    zone: maybe(random, () => text(random)),
    shard: random.below(9),
    host: text(random),
    port: random.below(65536),
  };
}

function tableReply(random: Prng): TableReplyInput {
  return {
    kind: "TableReply",
    name: text(random),
    tensor: random.below(2) === 1,
    id: long(random),
    fingerprint: long(random),
    placement: long(random),
    number: random.u32(),
    dim: random.below(4097),
    stateFloats: random.below(65536),
    definition: text(random),
  };
}

function write(random: Prng): WriteInput {
  const worker = random.below(3);
  const firstSlot = random.below(16384);
  return {
    worker,
    session: worker === 0 ? 0n : long(random),
    sequence: worker === 0 ? 0 : 1 + random.below(1e9),
    firstSlot,
    lastSlot: firstSlot + random.below(16384),
    step: random.u32(),
    clock: safe(random),
    ack: random.below(4) as 0 | 1 | 2 | 3,
    mark: maybe(random, () => bytes(random, random.below(30))),
  };
}

function writePart(random: Prng) {
  return { ...place(random), count: random.below(9), dim: 1 + random.below(9), element: element(random) };
}

function keyParts(random: Prng) {
  const parts = several(random, () => ({ ...place(random), count: random.below(9) }));
  return { parts, keys: keys(random, sum(parts)) };
}

function rowBatch(random: Prng): RowBatchInput {
  const stateFloats = random.below(3);
  const shape = {
    count: random.below(9),
    dim: 1 + random.below(9),
    stateFloats,
    element: element(random),
    columns: (random.below(512) & ~Column.State) | (stateFloats > 0 ? Column.State : 0),
  };
  return { ...shape, keys: keys(random, shape.count), data: bytes(random, columnsBytes([shape])) };
}

const place = (random: Prng) => ({ table: long(random), fingerprint: long(random) });
const element = (random: Prng) => random.below(4) as 0 | 1 | 2 | 3;
const sum = (parts: readonly { count: number }[]) => parts.reduce((all, { count }) => all + count, 0);
const safe = (random: Prng) => random.below(2) * (random.u32() * 2 ** 21 + random.below(2 ** 21));
const long = (random: Prng) => (BigInt(random.u32()) << 32n) | BigInt(random.u32());
const float = (random: Prng) => Math.fround(random.normal());

function maybe<T>(random: Prng, make: () => T): T | undefined {
  return random.below(2) === 1 ? make() : undefined;
}

function several<T>(random: Prng, make: () => T): T[] {
  return Array.from({ length: random.below(4) }, make);
}

function text(random: Prng): string {
  const letters = ["", "a", "items", "ü", "€", "😀", ' "\\', "\n", "\u0000", "z\ufeff"];
  return several(random, () => letters[random.below(letters.length)]).join("");
}

function bytes(random: Prng, length: number): Uint8Array {
  return Uint8Array.from({ length }, () => random.below(256));
}

function keys(random: Prng, length: number): BigUint64Array {
  return BigUint64Array.from({ length }, () => long(random));
}
