// Rows that a node sends unasked for in a type are float32, or refused: their columns lie elsewhere.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { receivedRows } from "../../lib/client/received-rows.js";
import { columnsBytes } from "../../lib/wire/columns.js";
import { Column, ElementType, type RowBatch } from "../../lib/wire/generated/frame-types.js";
import { codeOf } from "../laws/twin.js";

function rowsOf(element: ElementType): RowBatch {
  const shape = { count: 2, dim: 3, stateFloats: 1, element, columns: Column.Values | Column.State };
  return { ...shape, keys: BigUint64Array.of(1n, 2n), data: new Uint8Array(columnsBytes([shape])).fill(1) };
}

test("rows of a scan are float32", async () => {
  assert.is(receivedRows([], rowsOf(ElementType.F32)).rows.length, 6);
  for (const element of [ElementType.F16, ElementType.BF16, ElementType.Int8])
    assert.is(await codeOf(async () => receivedRows([], rowsOf(element))), "BAD_FRAME");
});

test.run();
