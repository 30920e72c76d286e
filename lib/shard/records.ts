// What the records of a shard's log hold. docs/formats/records.md is the document; the log frames, numbers and checks them.

import type { PushOrigin } from "./sequences.js";

/** Types of records. */
export const RECORD = {
  rows: 1,
  define: 2,
  drop: 3,
  checkpoint: 4,
  handOver: 5,
  decay: 6,
  worker: 8,
} as const;

/** Kinds of sections in a record of rows. */
export const SECTION = {
  push: 1,
  create: 2,
  assign: 3,
  assignState: 4,
  delete: 5,
  adopt: 6,
  evict: 7,
  count: 8,
  sketch: 9,
  promote: 10,
  demote: 11,
  evictCold: 12,
  assignHistory: 13,
  assignStateHistory: 14,
} as const;

/** What a record says of a decay of a table's counters: how many there have been with it. */
export interface DecayNote {
  readonly number: number;
  readonly epoch: number;
}

export const rowsHeaderBytes = 64;
export const sectionHeaderBytes = 48;

/** What a record of rows says of the request. */
export interface RowsHeader {
  readonly step: number;
  /** When it was made, milliseconds since the epoch; 0 where no table of the record keeps times. */
  readonly time: number;
  readonly mark: Uint8Array | undefined;
  readonly sections: number;
  /** Of a push from elsewhere. */
  readonly origin?: PushOrigin | undefined;
}

export interface SectionHeader {
  readonly table: number;
  readonly arena: number;
  readonly kind: number;
  readonly n: number;
  readonly learningRate: number;
  /** Decays that the table's counters had seen. */
  readonly epoch: number;
  /** Bytes of the last column: gradients, rows (and state behind all of them), or whole records. */
  readonly valueBytes: number;
}

export function padded(bytes: number): number {
  return (bytes + 7) & ~7;
}

/** A bound of the bytes of a section. */
export function sectionBytes(n: number, valueBytes: number): number {
  return sectionHeaderBytes + 16 * n + padded(valueBytes);
}

/** Where headers are put together: each has 64 bytes at most, and an array of so few needs no memory of its own. */
const scratch = new Uint8Array(64);
const scratchView = new DataView(scratch.buffer);

/** Header and mark of a record of rows, padded to 8. */
export function encodeRowsHeader({ step, time, mark, sections, origin }: RowsHeader): Uint8Array {
  scratch.fill(0);
  const view = scratchView;
  view.setUint32(12, step, true);
  view.setUint32(32, mark?.length ?? 0, true);
  view.setUint32(36, mark ? 1 : 0, true);
  view.setUint32(40, sections, true);
  view.setUint32(44, time >>> 0, true);
  view.setUint32(48, Math.floor(time / 0x1_0000_0000), true);
  if (origin) {
    view.setUint32(0, origin.worker, true);
    view.setBigUint64(4, origin.session, true);
    view.setBigUint64(16, origin.sequence, true);
    view.setBigUint64(24, origin.clock, true);
    view.setUint16(52, origin.first, true);
    view.setUint16(54, origin.last, true);
  }
  const header = scratch.slice(0, rowsHeaderBytes);
  if (!mark) return header;
  const bytes = new Uint8Array(rowsHeaderBytes + padded(mark.length));
  bytes.set(header);
  bytes.set(mark, rowsHeaderBytes);
  return bytes;
}

function decodeOrigin(view: DataView): PushOrigin | undefined {
  const worker = view.getUint32(0, true);
  if (worker === 0) return undefined;
  return {
    worker,
    session: view.getBigUint64(4, true),
    sequence: view.getBigUint64(16, true),
    clock: view.getBigUint64(24, true),
    first: view.getUint16(52, true),
    last: view.getUint16(54, true),
  };
}

export function encodeSectionHeader(header: SectionHeader): Uint8Array {
  scratch.fill(0);
  const view = scratchView;
  view.setUint32(0, header.table, true);
  view.setUint16(4, header.arena, true);
  view.setUint16(6, header.kind, true);
  view.setUint32(8, header.n, true);
  view.setFloat32(16, header.learningRate, true);
  view.setUint32(20, header.valueBytes, true);
  view.setUint32(24, header.epoch, true);
  return scratch.slice(0, sectionHeaderBytes);
}

/** A section with its columns, which are views of the record. Alignment is not promised. */
export interface Section extends SectionHeader {
  readonly keys: Uint8Array;
  readonly positions: Uint8Array;
  readonly counts: Uint8Array;
  readonly values: Uint8Array;
}

export interface RowsRecord extends RowsHeader {
  readonly parts: readonly Section[];
}

/** Reads a record of rows. Returns undefined when its lengths do not add up. */
export function decodeRows(payload: Uint8Array): RowsRecord | undefined {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  if (payload.length < rowsHeaderBytes) return undefined;
  const markBytes = view.getUint32(32, true);
  const count = view.getUint32(40, true);
  const hasMark = view.getUint32(36, true) === 1;
  let at = rowsHeaderBytes + padded(markBytes);
  if (at > payload.length) return undefined;
  const mark = hasMark ? payload.slice(rowsHeaderBytes, rowsHeaderBytes + markBytes) : undefined;
  const parts: Section[] = [];
  for (let i = 0; i < count; i++) {
    if (at + sectionHeaderBytes > payload.length) return undefined;
    const n = view.getUint32(at + 8, true);
    const valueBytes = view.getUint32(at + 20, true);
    const body = at + sectionHeaderBytes;
    const end = body + 16 * n + padded(valueBytes);
    if (end > payload.length) return undefined;
    parts.push({
      table: view.getUint32(at, true),
      arena: view.getUint16(at + 4, true),
      kind: view.getUint16(at + 6, true),
      n,
      learningRate: view.getFloat32(at + 16, true),
      epoch: view.getUint32(at + 24, true),
      valueBytes,
      keys: payload.subarray(body, body + 8 * n),
      positions: payload.subarray(body + 8 * n, body + 12 * n),
      counts: payload.subarray(body + 12 * n, body + 16 * n),
      values: payload.subarray(body + 16 * n, body + 16 * n + valueBytes),
    });
    at = end;
  }
  const time = view.getUint32(44, true) + view.getUint32(48, true) * 0x1_0000_0000;
  const origin = decodeOrigin(view);
  return { step: view.getUint32(12, true), time, mark, sections: count, parts, origin };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeJson(value: unknown): Uint8Array {
  return encoder.encode(JSON.stringify(value));
}

export function decodeJson(payload: Uint8Array): unknown {
  return JSON.parse(decoder.decode(payload));
}
