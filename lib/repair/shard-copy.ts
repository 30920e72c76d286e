// A copy of a shard's files as they are, durable.
import { constants } from "node:fs";
import { copyFile, mkdir, open } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { syncFolder } from "../directory/identity.js";
import { listFolder, logFolder, pagesFolder } from "./shard-files.js";

/** Copies the files of a shard that nobody has open from one directory to another. @throws IO */
export async function copyShard(from: string, to: string, shard: number): Promise<void> {
  for (const folder of [pagesFolder(shard), logFolder(shard)]) {
    const path = join(to, folder);
    try {
      await mkdir(path, { recursive: true, mode: 0o700 });
      for (const name of await listFolder(join(from, folder)))
        await copyDurably(join(from, folder, name), join(path, name));
      await syncFolder(path);
    } catch (cause) {
      throw new EmbershardError("IO", `${path} cannot be made: ${(cause as Error).message}`, { cause });
    }
  }
}

async function copyDurably(from: string, to: string): Promise<void> {
  await copyFile(from, to, constants.COPYFILE_FICLONE);
  const file = await open(to, "r+");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
