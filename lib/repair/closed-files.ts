// That nobody has a store open while it is repaired. What is damaged cannot always be locked: so it is looked at again in the end.
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { demandClosed } from "./access.js";

/** @throws LOCKED where somebody has the store open */
export async function demandNotOpen(directory: string): Promise<void> {
  const { ownerPid } = await import("../embedded/control-client.js");
  const pid = await ownerPid(directory);
  if (pid !== undefined)
    throw new EmbershardError(
      "LOCKED",
      `${directory} is open in the process with pid ${pid}: close it there`,
    );
  await demandClosed(directory);
}

/** What a store's files are like: their names, lengths and the times of their last change. Whoever opens it changes some. */
export async function looksOf(directory: string): Promise<string> {
  const names = await readdir(directory, { recursive: true });
  const lines = names.sort().map(async (name) => {
    const found = await stat(join(directory, name)).catch(() => undefined);
    return `${name} ${found?.size} ${found?.mtimeMs}`;
  });
  return (await Promise.all(lines)).join("\n");
}

/** @throws LOCKED where somebody has, or had, the store open since it looked as it did `before` */
export async function demandUntouched(directory: string, before: string): Promise<void> {
  await demandNotOpen(directory);
  if ((await looksOf(directory)) === before) return;
  throw new EmbershardError(
    "LOCKED",
    `somebody opened ${directory} while it was repaired: it is as they left it. Run it again when nobody does`,
  );
}
