// The file DIR/owner: who has the directory open. For messages only; LevelDB's locks decide.
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";

const ownerName = "owner";

/** Notes that this process has the directory. @throws IO */
export async function noteOwner(directory: string): Promise<void> {
  const path = join(directory, ownerName);
  try {
    await writeFile(path, `${process.pid}\n`, { mode: 0o600 });
  } catch (cause) {
    throw new EmbershardError("IO", `${path} cannot be written: ${(cause as Error).message}`, { cause });
  }
}

export async function forgetOwner(directory: string): Promise<void> {
  await rm(join(directory, ownerName), { force: true });
}

/** Who has the directory, in words. */
export async function describeOwner(directory: string): Promise<string> {
  const pid = (await readFile(join(directory, ownerName), "utf8").catch(() => "")).trim();
  if (pid === "") return "another process";
  return Number(pid) === process.pid ? `this process (pid ${pid})` : `the process with pid ${pid}`;
}
