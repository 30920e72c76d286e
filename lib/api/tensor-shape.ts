// Shapes of tensors, and the blocks that they are kept in.
import { EmbershardError } from "../base/errors.js";
import { LIMITS } from "../base/limits.js";
import { describe } from "./option-reader.js";
import type { TensorOptions } from "./store-types.js";
import type { TableDefinition, TableOptions, TensorShape } from "./table-definition.js";

/** Floats of a block where the shape suggests none. */
const usualBlock = 1024;
/**
 * The options of the table that holds a tensor, and its shape: as given, else as `known` has it.
 *
 * @throws INVALID_OPTIONS
 */
export function tensorTable(
  name: string,
  options: TensorOptions,
  known: TableDefinition | undefined,
): { options: TableOptions; tensor: TensorShape } {
  if (typeof options !== "object" || options === null) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found ${describe(options)}, expected an object of options`,
    );
  }
  const { shape, block, ...rest } = options;
  if ("dim" in rest)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found unknown option "dim", expected shape, and block for the floats of a row`,
    );
  const tensor = tensorShape(name, shape ?? known?.tensor?.shape, block ?? known?.tensor?.block);
  return { options: { ...rest, dim: tensor.block }, tensor };
}

/** Demands that a name is not of the other kind. @throws TABLE_MISMATCH */
export function demandKind(name: string, known: TableDefinition | undefined, kind: "table" | "tensor"): void {
  if (!known || (known.tensor !== undefined) === (kind === "tensor")) return;
  const other = kind === "tensor" ? "table" : "tensor";
  throw new EmbershardError(
    "TABLE_MISMATCH",
    `"${name}" is a ${other}: open it with store.${other}, or choose another name`,
  );
}

/** Checks a shape and chooses the block: one index of the first axis where that fits a row, else a divisor of it. */
export function tensorShape(name: string, shape: unknown, block: unknown): TensorShape {
  if (
    !Array.isArray(shape) ||
    shape.length === 0 ||
    !shape.every((axis) => Number.isSafeInteger(axis) && axis > 0)
  ) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found shape ${describe(shape)}, expected an array of integers > 0`,
    );
  }
  const length = shape.reduce((product, axis) => product * axis, 1);
  if (!Number.isSafeInteger(length) || length > 2 ** 40) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found ${length} elements, expected at most 2^40`,
    );
  }
  if (block === undefined) return { shape: [...shape], block: usualBlockOf(shape, length) };
  if (typeof block !== "number" || !Number.isInteger(block) || block < 1 || block > LIMITS.dim) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `tensor "${name}": found block ${describe(block)}, expected an integer from 1 to ${LIMITS.dim}`,
    );
  }
  return { shape: [...shape], block };
}

function usualBlockOf(shape: readonly number[], length: number): number {
  const inner = length / shape[0];
  if (shape.length === 1) return Math.min(length, usualBlock);
  if (inner <= LIMITS.dim) return inner * Math.max(1, Math.min(shape[0], Math.floor(usualBlock / inner)));
  for (let block = LIMITS.dim; block > 1; block--) if (inner % block === 0) return block;
  return 1;
}
