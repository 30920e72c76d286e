// Reads a log as docs/formats/log.md says, with no code of the store.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import xxhash from "xxhash-wasm";

const { h64Raw } = await xxhash();

export interface FoundRecord {
  readonly lsn: bigint;
  readonly type: number;
  readonly payload: DataView;
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function demand(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(what);
}

/** The records from `from` on. Throws where the log does not add up. */
export function readLogFiles(directory: string, storeId: string, from: bigint): FoundRecord[] {
  const firsts = readdirSync(directory)
    .filter((name) => /^[0-9a-f]{16}\.log$/.test(name))
    .map((name) => BigInt(`0x${name.slice(0, 16)}`))
    .sort((a, b) => (a < b ? -1 : 1));
  const begin = firsts.findLastIndex((first) => first <= from);
  demand(begin >= 0, "the log begins too late");
  const records: FoundRecord[] = [];
  let next = firsts[begin];
  let mark = durableLsn(readFileSync(join(directory, "MARK")), [0, 4096], storeId);
  for (const first of firsts.slice(begin)) {
    demand(first === next, `segment ${first} does not follow on ${next - 1n}`);
    const file = readFileSync(join(directory, `${first.toString(16).padStart(16, "0")}.log`));
    next = readSegment(file, first, storeId, records);
    mark = maximum(mark, durableLsn(file, [512], storeId));
  }
  demand(mark < next, `records up to ${mark} were durable, and the log ends before ${next}`);
  return records.filter(({ lsn }) => lsn >= from);
}

/** Adds a segment's records. Returns the LSN that comes next. */
function readSegment(file: Uint8Array, first: bigint, storeId: string, records: FoundRecord[]): bigint {
  const view = viewOf(file);
  demand(Buffer.from(file.subarray(0, 8)).toString("ascii") === "EMBERLOG", "the magic");
  demand(view.getBigUint64(48, true) === h64Raw(file.subarray(0, 48)), "the header's checksum");
  demand(view.getUint32(8, true) === 1 && view.getUint32(12, true) === 0, "the version and the shard");
  demand(Buffer.from(file.subarray(16, 32)).toString("hex") === storeId, "the store's identity");
  demand(view.getBigUint64(32, true) === first, "the first LSN");
  const nonce = view.getBigUint64(40, true);
  let at = 4096;
  let lsn = first;
  while (at + 32 <= file.length) {
    const payloadBytes = view.getUint32(at + 16, true);
    const end = at + 32 + Math.ceil(payloadBytes / 8) * 8;
    if (end > file.length || view.getBigUint64(at + 8, true) !== lsn) break;
    if (view.getBigUint64(at, true) !== h64Raw(file.subarray(at + 8, end), nonce)) break;
    demand(view.getUint16(at + 22, true) === 0 && view.getBigUint64(at + 24, true) === 0n, "flags and zeros");
    records.push({
      lsn,
      type: view.getUint16(at + 20, true),
      payload: viewOf(file.subarray(at + 32, at + 32 + payloadBytes)),
    });
    at = end;
    lsn++;
  }
  return lsn;
}

function durableLsn(file: Uint8Array, offsets: readonly number[], storeId: string): bigint {
  return offsets.reduce((most, offset) => {
    const slot = file.subarray(offset, offset + 64);
    demand(viewOf(slot).getBigUint64(0, true) === h64Raw(slot.subarray(8)), "a slot of the durable mark");
    demand(Buffer.from(slot.subarray(24, 40)).toString("hex") === storeId, "the durable mark's identity");
    return maximum(most, viewOf(slot).getBigUint64(8, true));
  }, 0n);
}

function maximum(a: bigint, b: bigint): bigint {
  return a > b ? a : b;
}
