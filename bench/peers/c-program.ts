import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SuiteContext } from "../suite.js";

const FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno"];

/**
 * Compiles `bench/peers/<name>.c` for this machine, once a run, and gives the path of the program. Undefined, with a note,
 * where that is not possible.
 */
export async function compileC({ workspace, note }: SuiteContext, name: string): Promise<string | undefined> {
  const program = `${workspace.directory}/${name}`;
  if (existsSync(program)) return program;
  const run = promisify(execFile);
  const source = fileURLToPath(new URL(`../../../bench/peers/${name}.c`, import.meta.url));
  // Clang and other processors do not know every flag: the plain set is tried before giving up.
  for (const flags of [FLAGS, ["-O3", "-march=native", "-fno-math-errno"]]) {
    const failure = await run("cc", [...flags, source, "-o", program, "-lm", "-pthread"]).then(
      () => undefined,
      (error: Error) => error.message.split("\n").slice(0, 2).join(" "),
    );
    if (failure === undefined) return program;
    if (flags !== FLAGS) note(`the C program ${name} is left out: ${failure}`);
  }
  return undefined;
}
