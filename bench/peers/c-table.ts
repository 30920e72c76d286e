import { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";
import { compileC } from "./c-program.js";

/** Any seed will do: the table is placed by it alone. */
const PLACEMENT_SEED = "7";

/** Compiles bench/peers/table.c for this machine and starts it. Undefined, with a note, where that is not possible. */
export async function startCTable(
  context: SuiteContext,
  { rows, dim, batch, pages }: { rows: number; dim: number; batch: number; pages: "plain" | "huge" },
): Promise<Subject | undefined> {
  const program = await compileC(context, "table");
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
