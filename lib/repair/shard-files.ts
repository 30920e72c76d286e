// Where the files of a shard lie, relative to the directory of its store.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { EmbershardError } from "../base/errors.js";
import type { Files } from "../store/files.js";
import { nodeFiles } from "../store/node-files.js";

export function shardPath(shard: number): string {
  return join("shards", String(shard).padStart(4, "0"));
}

/** The LevelDB of a shard's pages. */
export function pagesFolder(shard: number): string {
  return join(shardPath(shard), "pages");
}

export function logFolder(shard: number): string {
  return join(shardPath(shard), "log");
}

/** The names in a folder, none where there is no folder. */
export async function listFolder(directory: string): Promise<string[]> {
  return readdir(directory).catch(() => []);
}

/** The files of a folder, none where there is no folder. */
export function filesIn(directory: string): Files {
  const files = nodeFiles(directory);
  return {
    ...files,
    list: () =>
      files.list().catch((error: EmbershardError) => {
        if ((error.cause as NodeJS.ErrnoException).code === "ENOENT") return [];
        throw error;
      }),
  };
}
