// A row as docs/formats/pages.md and docs/storage-types.md say, with no code of the store: numbers are found among all there are.
import { type ExtrasDefinition, extrasBytes } from "./extras-reader.js";
import { demand } from "./log-file-reader.js";

/** What a definition says of its rows. */
export interface RowDefinition {
  readonly dim: number;
  readonly optimizer: {
    readonly kind: string;
    readonly momentum?: number;
    readonly initialAccumulator?: number;
  };
  readonly initializer: { readonly kind: string; readonly value?: number };
  readonly storage?: "f16" | "bf16" | "int8";
  readonly stateStorage?: "bf16";
  readonly rounding?: "stochastic";
}

/** Where the parts of a row are, from its beginning. */
export interface RowParts {
  readonly state: number;
  readonly scalars: number;
  readonly extras: number;
  readonly bytes: number;
  readonly elements: number;
  readonly stateFloats: number;
}

/** Of the optimizers it knows SGD and Adagrad. */
export function partsOf({
  dim,
  optimizer,
  storage,
  stateStorage,
  ...rest
}: RowDefinition & ExtrasDefinition): RowParts {
  const scalarCount = optimizer.kind === "rowWiseAdagrad" ? 1 : 0;
  const elements = optimizer.kind === "adagrad" || (optimizer.momentum ?? 0) > 0 ? dim : 0;
  const width = { f32: 4, f16: 2, bf16: 2, int8: 1 };
  const state = 16 + round(dim * width[storage ?? "f32"], 4) + (storage === "int8" ? 4 : 0);
  const scalars = state + round(elements * width[stateStorage ?? "f32"], 4);
  const extras = scalars + 4 * scalarCount;
  const bytes = round(extras + extrasBytes(rest), 8);
  return { state, scalars, extras, bytes, elements, stateFloats: elements + scalarCount };
}

function round(bytes: number, to: number): number {
  return Math.ceil(bytes / to) * to;
}

export function readWeights(view: DataView, row: number, table: RowDefinition): Float32Array {
  const scale = table.storage === "int8" ? view.getFloat32(row + partsOf(table).state - 4, true) : 1;
  return Float32Array.from({ length: table.dim }, (_, i) => {
    switch (table.storage) {
      case undefined:
        return view.getFloat32(row + 16 + 4 * i, true);
      case "int8":
        return view.getInt8(row + 16 + i) * scale;
      default:
        return numberOf(table.storage, view.getUint16(row + 16 + 2 * i, true));
    }
  });
}

export function readState(view: DataView, row: number, table: RowDefinition): Float32Array {
  const { state, scalars, elements, stateFloats } = partsOf(table);
  return Float32Array.from({ length: stateFloats }, (_, i) => {
    if (i >= elements) return view.getFloat32(row + scalars + 4 * (i - elements), true);
    if (table.stateStorage === undefined) return view.getFloat32(row + state + 4 * i, true);
    return numberOf("bf16", view.getUint16(row + state + 2 * i, true));
  });
}

/** Stores the nearest. */
export function writeWeights(view: DataView, row: number, table: RowDefinition, weights: Float32Array): void {
  const { storage } = table;
  if (storage === "int8") {
    const largest = Math.max(...weights.map(Math.abs));
    const scale = Math.fround(largest / 127);
    view.setFloat32(row + partsOf(table).state - 4, scale, true);
    for (const [i, weight] of weights.entries()) {
      const multiple = scale === 0 ? 0 : Math.fround(weight / scale);
      view.setInt8(row + 16 + i, Math.max(-127, Math.min(127, even(multiple))));
    }
  } else if (storage === undefined)
    for (const [i, weight] of weights.entries()) view.setFloat32(row + 16 + 4 * i, weight, true);
  else
    for (const [i, weight] of weights.entries())
      view.setUint16(row + 16 + 2 * i, wordOf(storage, weight), true);
}

export function writeState(view: DataView, row: number, table: RowDefinition, values: Float32Array): void {
  const { state, scalars, elements } = partsOf(table);
  for (const [i, value] of values.entries()) {
    if (i >= elements) view.setFloat32(row + scalars + 4 * (i - elements), value, true);
    else if (table.stateStorage === undefined) view.setFloat32(row + state + 4 * i, value, true);
    else view.setUint16(row + state + 2 * i, wordOf("bf16", value), true);
  }
}

export function beginRow(view: DataView, row: number, table: RowDefinition, key: bigint): void {
  const { initializer, optimizer, dim } = table;
  demand(initializer.kind === "constant" || initializer.kind === "zeros", "this reader knows constants only");
  view.setBigUint64(row, key, true);
  view.setUint32(row + 8, 0x8000_0000, true);
  view.setUint32(row + 12, 0, true);
  writeWeights(view, row, table, new Float32Array(dim).fill(initializer.value ?? 0));
  const { stateFloats } = partsOf(table);
  writeState(view, row, table, new Float32Array(stateFloats).fill(optimizer.initialAccumulator ?? 0));
}

/** A whole number beside x, the even one where x lies in the middle. */
function even(x: number): number {
  const low = Math.floor(x);
  if (x - low === 0.5) return low + (low & 1);
  return Math.round(x);
}

/** The value of a word of sign, exponent and fraction. */
function numberOf(kind: "f16" | "bf16", word: number): number {
  const [fractionBits, bias] = kind === "f16" ? [10, 15] : [7, 127];
  const fraction = (word & (2 ** fractionBits - 1)) / 2 ** fractionBits;
  const exponent = (word & 0x7fff) >>> fractionBits;
  const size = exponent === 0 ? fraction * 2 ** (1 - bias) : (1 + fraction) * 2 ** (exponent - bias);
  return word >>> 15 === 1 ? -size : size;
}

/** The word whose value is nearest to a finite number, the even one of two: found by halving, since words order as values do. */
function wordOf(kind: "f16" | "bf16", value: number): number {
  const size = Math.abs(value);
  let low = 0;
  let high = kind === "f16" ? 0x7bff : 0x7f7f;
  while (high - low > 1) {
    const middle = (low + high) >>> 1;
    if (numberOf(kind, middle) <= size) low = middle;
    else high = middle;
  }
  const [below, above] = [size - numberOf(kind, low), numberOf(kind, high) - size];
  const word = below < above || (below === above && low % 2 === 0) ? low : high;
  return value < 0 || Object.is(value, -0) ? word | 0x8000 : word;
}
