// Where the columns of rows lie in a frame's `data`.
import { align8, bytesOf } from "./bulk.js";
import { Column, ElementType } from "./generated/frame-types.js";

/** What decides where the columns of some rows lie. */
export interface ColumnShape {
  /** n, rows. */
  readonly count: number;
  readonly dim: number;
  readonly stateFloats: number;
  readonly element: ElementType;
  /** A sum of `Column`s. */
  readonly columns: number;
}

/** Byte offsets in `data`, multiples of 8; -1 where there is no such column. */
export interface ColumnPlaces {
  readonly values: number;
  /** f32[n], with `Int8` only. */
  readonly scales: number;
  readonly state: number;
  readonly counts: number;
  readonly lastStep: number;
  readonly firstCounter: number;
  readonly secondCounter: number;
  readonly writtenAt: number;
  readonly added: number;
  readonly distance: number;
  /** Where the last column ends; the next part begins at the next multiple of 8. */
  readonly end: number;
}

const elementBytesOf = [4, 2, 2, 1] as const;
const elementNames = ["f32", "f16", "bf16", "int8"] as const;

/** What an element type is called elsewhere; those but float32 are the features that they need. */
export type ElementName = (typeof elementNames)[number];

export function elementName(element: ElementType): ElementName {
  return elementNames[element];
}

export function elementOf(name: ElementName): ElementType {
  return elementNames.indexOf(name) as ElementType;
}

/** Bytes of a number. */
export function elementBytes(element: ElementType): number {
  return elementBytesOf[element];
}

/** Where the columns of rows lie that begin at byte `from` of `data`, or at the next multiple of 8. */
export function columnPlaces(shape: ColumnShape, from: number): ColumnPlaces {
  const { count: n, dim, stateFloats, element, columns } = shape;
  let end = from;
  const place = (there: boolean, bytes: number): number => {
    if (!there) return -1;
    const at = align8(end);
    end = at + bytes;
    return at;
  };
  const has = (column: number) => (columns & column) !== 0;
  return {
    values: place(has(Column.Values), n * dim * elementBytes(element)),
    scales: place(has(Column.Values) && element === ElementType.Int8, n * 4),
    state: place(has(Column.State), n * stateFloats * 4),
    counts: place(has(Column.Counts), n * 4),
    lastStep: place(has(Column.LastStep), n * 4),
    firstCounter: place(has(Column.FirstCounter), n * 4),
    secondCounter: place(has(Column.SecondCounter), n * 4),
    writtenAt: place(has(Column.WrittenAt), n * 8),
    added: place(has(Column.Added), n),
    distance: place(has(Column.Distance), n * 8),
    end,
  };
}

/** Bytes of `data` that holds the columns of these rows, one part behind the other. */
export function columnsBytes(shapes: readonly ColumnShape[]): number {
  let end = 0;
  for (const shape of shapes) end = columnPlaces(shape, end).end;
  return end;
}

/** Where the columns of each part lie. */
export function placesOfParts(shapes: readonly ColumnShape[]): ColumnPlaces[] {
  let end = 0;
  return shapes.map((shape) => {
    const places = columnPlaces(shape, end);
    end = places.end;
    return places;
  });
}

/** A column of `data`: a view, or a copy where `data` itself is out of alignment. */
export function float32Column(data: Uint8Array, at: number, length: number): Float32Array {
  return new Float32Array(...alignedPart(data, at, length, 4));
}

/** As `float32Column`. */
export function uint32Column(data: Uint8Array, at: number, length: number): Uint32Array {
  return new Uint32Array(...alignedPart(data, at, length, 4));
}

/** As `float32Column`. */
export function float64Column(data: Uint8Array, at: number, length: number): Float64Array {
  return new Float64Array(...alignedPart(data, at, length, 8));
}

function alignedPart(
  data: Uint8Array,
  at: number,
  length: number,
  bytes: number,
): [ArrayBuffer, number, number] {
  const part = bytesOf(data.subarray(at, at + length * bytes));
  if (part.byteLength !== length * bytes)
    throw new RangeError(
      `a column of ${length * bytes} bytes at ${at} is beyond data of ${data.length} bytes`,
    );
  if (part.byteOffset % bytes === 0) return [part.buffer as ArrayBuffer, part.byteOffset, length];
  return [part.slice().buffer as ArrayBuffer, 0, length];
}
