import { fileURLToPath } from "node:url";
import { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";

const NAMES = { embedding: "PyTorch", fbgemm: "FBGEMM" } as const;

const source = new URL("../../../bench/peers/torch_tables.py", import.meta.url);

/** Starts PyTorch's or FBGEMM's table on one thread. Undefined, with a note, where Python lacks it. */
export async function startPythonTable(
  { options, workspace, versions, note }: SuiteContext,
  kind: keyof typeof NAMES,
  { rows, dim, batch }: { rows: number; dim: number; batch: number },
): Promise<Subject | undefined> {
  const args = ["-W", "ignore", fileURLToPath(source), kind, ...[rows, dim, batch, 1].map(String)];
  try {
    const subject = await Subject.start(workspace, NAMES[kind], options.python, args);
    for (const [name, version] of Object.entries(subject.ready)) {
      if (name !== "ready") versions[name] = String(version);
    }
    return subject;
  } catch (error) {
    const reason = (error as Error).message.split("\n").at(-1);
    note(`${NAMES[kind]} is left out (${options.python}): ${reason}`);
    return undefined;
  }
}
