// What a node sends of rows as each element type, against bytes that make-rows.py made from the documents alone.
import { readFileSync } from "node:fs";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { adagrad } from "../../lib/api/optimizers.js";
import { columnPlaces, elementBytes, elementName, float32Column } from "../../lib/wire/columns.js";
import { Column, type ElementType } from "../../lib/wire/generated/frame-types.js";
import { widened } from "../laws/narrow.js";
import { same } from "../laws/twin.js";
import { keysFrom, named, ServedShard, writePart } from "../node/served-shard.js";

/** `rows`, `state` and `read` are float32s, 8 hexadecimal digits each. */
interface Golden {
  readonly element: ElementType;
  readonly dim: number;
  readonly count: number;
  readonly rows: string;
  readonly state: string;
  readonly data: string;
  readonly read: string;
}

const file = new URL("../../../spec/golden/rows.jsonl", import.meta.url);
const goldens = readFileSync(file, "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Golden);

function floatsOf(hex: string): Float32Array {
  const bytes = Buffer.from(hex, "hex");
  return Float32Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatBE(4 * i));
}

test("rows that were assigned come as these bytes, and mean these numbers", async () => {
  assert.is(goldens.length, 32);
  const served = await new ServedShard().open();
  const peer = await served.connect();
  const columns = Column.Values | Column.State;
  for (const { element, dim, count, rows, state, data, read } of goldens) {
    const said = `${count} rows of ${dim} as ${elementName(element)}`;
    const table = await peer.openTable(`t${dim}`, { dim, optimizer: adagrad({ learningRate: 1 }) });
    await peer.ask("Done", {
      kind: "Assign",
      write: {},
      parts: [writePart(table, count, { columns, stateFloats: dim })],
      keys: keysFrom(0, count),
      data: [floatsOf(rows), floatsOf(state)],
    });
    const answer = await peer.ask("Rows", {
      kind: "Pull",
      parts: [{ ...named(table), count, columns, element }],
      keys: keysFrom(0, count),
    });
    assert.is(Buffer.from(answer.data).toString("hex"), data, said);
    const [part] = answer.parts;
    const { values, scales } = columnPlaces(part, 0);
    const name = elementName(element);
    const numbers = answer.data.subarray(values, values + count * dim * elementBytes(element));
    same(
      name === "f32"
        ? float32Column(answer.data, values, count * dim)
        : widened(name, numbers, scales < 0 ? undefined : float32Column(answer.data, scales, count), dim),
      floatsOf(read),
      said,
    );
  }
});

test.run();
