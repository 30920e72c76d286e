import { mkdirSync } from "node:fs";
import { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";
import { compileC } from "./c-program.js";

/**
 * Starts bench/peers/writer.c, which loads memory and disk as a store does during a checkpoint, with a table of
 * `tableBytes`. Undefined, with a note, where there is no compiler.
 */
export async function startCWriter(context: SuiteContext, tableBytes: number): Promise<Subject | undefined> {
  const program = await compileC(context, "writer");
  if (program === undefined) return undefined;
  const directory = context.workspace.path("writer");
  mkdirSync(directory);
  return Subject.start(context.workspace, "C writer", program, [directory, String(tableBytes)]);
}
