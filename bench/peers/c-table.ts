import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";

const FLAGS = ["-O3", "-march=native", "-mprefer-vector-width=512", "-fno-math-errno"];
/** Any seed will do: the table is placed by it alone. */
const PLACEMENT_SEED = "7";

/** Compiles bench/peers/table.c for this machine and starts it. Undefined, with a note, where that is not possible. */
export async function startCTable(
  context: SuiteContext,
  { rows, dim, batch, pages }: { rows: number; dim: number; batch: number; pages: "plain" | "huge" },
): Promise<Subject | undefined> {
  const program = await compile(context);
  if (program === undefined) return undefined;
  const subject = await Subject.start(context.workspace, `C program, ${pages} pages`, program, [
    String(rows),
    String(dim),
    String(batch),
    pages,
    PLACEMENT_SEED,
  ]);
  context.versions.cc = String(subject.ready.compiler);
  return subject;
}

const sources = new URL("../../../bench/peers/table.c", import.meta.url);

async function compile({ workspace, note }: SuiteContext): Promise<string | undefined> {
  const program = `${workspace.directory}/table`;
  if (existsSync(program)) return program;
  const run = promisify(execFile);
  const source = fileURLToPath(sources);
  // Clang and other processors do not know every flag: the plain set is tried before giving up.
  for (const flags of [FLAGS, ["-O3", "-march=native", "-fno-math-errno"]]) {
    const failure = await run("cc", [...flags, source, "-o", program, "-lm"]).then(
      () => undefined,
      (error: Error) => error.message.split("\n").slice(0, 2).join(" "),
    );
    if (failure === undefined) return program;
    if (flags !== FLAGS) note(`the C program is left out: ${failure}`);
  }
  return undefined;
}
