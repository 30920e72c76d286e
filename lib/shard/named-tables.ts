// Tables and tensors by their names: a name is of one kind.
import type { TensorOptions } from "../api/store-types.js";
import type { TableOptions } from "../api/table-definition.js";
import { demandKind, tensorTable } from "../api/tensor-shape.js";
import type { ArenaTable } from "../table/arena-table.js";
import type { Shard } from "./shard.js";

/** @throws TABLE_MISMATCH where a tensor has the name, and as `Shard.openTable` */
export async function openNamedTable(
  shard: Shard,
  name: string,
  options: TableOptions | undefined,
): Promise<ArenaTable> {
  demandKind(name, shard.tables.get(name)?.definition, "table");
  return shard.openTable(name, options);
}

/** @throws TABLE_MISMATCH where a table has the name, INVALID_OPTIONS, and as `Shard.openTable` */
export async function openNamedTensor(
  shard: Shard,
  name: string,
  options: TensorOptions | undefined,
): Promise<ArenaTable> {
  const known = shard.tables.get(name)?.definition;
  demandKind(name, known, "tensor");
  if (options === undefined) return shard.openTable(name, undefined);
  const { options: table, tensor } = tensorTable(name, options, known);
  return shard.openTable(name, table, tensor);
}
