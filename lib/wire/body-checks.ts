// What the schema cannot say of a frame: lengths that must agree, values out of range.
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { type ColumnShape, columnsBytes } from "./columns.js";
import { type Body, Column, type RowBatch, type SlotMap, type Write } from "./generated/frame-types.js";

/** Columns that each kind of rows may have. */
const counterColumns = Column.FirstCounter | Column.SecondCounter;
const pushColumns = Column.Values | Column.Counts | counterColumns;
const pullColumns = Column.Values | Column.State | Column.Counts | Column.LastStep | counterColumns;
const assignColumns = pullColumns;
const largestSlotCount = 65536;

/** A vector that is not here yet, and empty in the body. */
interface Missing {
  readonly name: string;
  readonly bytes: number;
}

/**
 * Checks a body that was read, of which a vector may be missing.
 *
 * @throws BAD_FRAME
 */
export function checkBody(body: Body, missing: Missing | undefined): void {
  switch (body.kind) {
    case "Pull":
      demandColumns(body.parts, pullColumns);
      demandKeys(body.keys, body.parts, missing);
      return;
    case "Contains":
    case "Occurrences":
    case "Prefetch":
      demandKeys(body.keys, body.parts, missing);
      return;
    case "Delete":
      demandWrite(body.write);
      demandKeys(body.keys, body.parts, missing);
      return;
    case "Push":
      checkWritten(body, pushColumns, missing);
      return;
    case "Assign":
      for (const { columns } of body.parts)
        if (((columns & Column.Counts) === 0) !== ((columns & Column.LastStep) === 0))
          throw bad("an assignment has a column of counts without one of last steps, or the other way round");
      checkWritten(body, assignColumns, missing);
      return;
    case "Rows": {
      demandColumns(body.parts, pullColumns);
      demandData(body.data, body.parts, missing);
      const keys = sumOf(body.parts);
      if (body.found && body.found.length !== Math.ceil(keys / 8))
        throw bad(
          `found ${body.found.length} bytes of a bitmap, expected ${Math.ceil(keys / 8)} for ${keys} keys`,
        );
      return;
    }
    case "Found":
      if (body.found.length !== Math.ceil(body.count / 8))
        throw bad(`found ${body.found.length} bytes of a bitmap, expected ${Math.ceil(body.count / 8)}`);
      return;
    case "ScanRows":
    case "Evicted":
    case "ChangedRows":
      demandBatch(body.rows, missing);
      return;
    case "Evict":
    case "Forget":
    case "Decay":
      demandWrite(body.write);
      return;
    case "Welcome":
      demandSlotMap(body.slotMap);
      return;
    case "SlotMap":
      demandSlotMap(body);
      return;
    case "Failure":
      if (body.slotMap) demandSlotMap(body.slotMap);
  }
}

function checkWritten(
  body: Body & { kind: "Push" | "Assign" },
  allowed: number,
  missing: Missing | undefined,
) {
  demandWrite(body.write);
  demandColumns(body.parts, allowed);
  demandKeys(body.keys, body.parts, missing);
  demandData(body.data, body.parts, missing);
}

function demandWrite({ worker, session, sequence, firstSlot, lastSlot, mark }: Write): void {
  if (firstSlot > lastSlot) throw bad(`a write covers slots ${firstSlot} to ${lastSlot}`);
  if (worker === 0 && (sequence !== 0 || session !== 0n))
    throw bad(`a write of no worker has sequence ${sequence} of session ${session}`);
  if (worker !== 0 && sequence === 0) throw bad(`a write of worker ${worker} has no sequence`);
  if (mark && mark.length > LIMITS.markBytes)
    throw bad(`found a mark of ${mark.length} bytes, the limit is ${LIMITS.markBytes}`);
}

/** Shapes of parts, of requests and of answers. */
interface Part {
  readonly count: number;
  readonly columns: number;
  readonly dim?: number;
  readonly stateFloats?: number;
}

function demandColumns(parts: readonly Part[], allowed: number): void {
  for (const { columns, dim, stateFloats } of parts) {
    if ((columns & ~allowed) !== 0)
      throw bad(`found columns 0x${columns.toString(16)}, of 0x${allowed.toString(16)}`);
    if ((columns & Column.Values) === 0) throw bad("rows have no column of values");
    if (dim !== undefined) demandDim(dim);
    if (stateFloats !== undefined && stateFloats > 0 !== ((columns & Column.State) !== 0))
      throw bad(`rows with ${stateFloats} floats of state have columns 0x${columns.toString(16)}`);
  }
}

function demandDim(dim: number): void {
  if (dim < 1 || dim > LIMITS.dim) throw bad(`found dimension ${dim}, expected 1 to ${LIMITS.dim}`);
}

function sumOf(parts: readonly { readonly count: number }[]): number {
  let sum = 0;
  for (const { count } of parts) sum += count;
  return sum;
}

function demandKeys(
  keys: BigUint64Array,
  parts: readonly { readonly count: number }[],
  missing: Missing | undefined,
): void {
  const found = missing?.name === "keys" ? missing.bytes / 8 : keys.length;
  const expected = sumOf(parts);
  if (found !== expected) throw bad(`found ${found} keys, its parts count ${expected}`);
}

function demandData(data: Uint8Array, shapes: readonly ColumnShape[], missing: Missing | undefined): void {
  const found = missing?.name === "data" ? missing.bytes : data.length;
  const expected = columnsBytes(shapes);
  if (found !== expected) throw bad(`found ${found} bytes of columns, its parts take ${expected}`);
}

function demandBatch(rows: RowBatch, missing: Missing | undefined): void {
  if (rows.count > 0) demandDim(rows.dim);
  demandKeys(rows.keys, [rows], missing);
  demandData(rows.data, [rows], missing);
}

function demandSlotMap({ slotCount, runs, owners, replicaCount, runReplicas }: SlotMap): void {
  if (slotCount < 1 || slotCount > largestSlotCount || (slotCount & (slotCount - 1)) !== 0)
    throw bad(`found ${slotCount} slots, expected a power of two up to ${largestSlotCount}`);
  if (runs.length % 2 !== 0)
    throw bad(`found ${runs.length} numbers in the runs of a slot map, expected pairs`);
  let slots = 0;
  for (let i = 0; i < runs.length; i += 2) {
    if (runs[i] >= owners.length) throw bad(`a slot map names owner ${runs[i]} of ${owners.length}`);
    slots += runs[i + 1] + 1;
  }
  if (slots !== slotCount) throw bad(`the runs of a slot map have ${slots} slots of ${slotCount}`);
  const replicas = runReplicas?.length ?? 0;
  if (replicaCount < 1 || replicas !== (runs.length / 2) * (replicaCount - 1))
    throw bad(`a slot map has ${replicas} replicas of ${runs.length / 2} runs, ${replicaCount} each`);
  for (const owner of runReplicas ?? [])
    if (owner >= owners.length) throw bad(`a slot map names replica ${owner} of ${owners.length}`);
}

function bad(what: string): EmbershardError {
  return new EmbershardError("BAD_FRAME", `a frame's parts do not agree: ${what}`);
}
