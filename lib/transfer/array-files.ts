// Opening what has its columns as arrays: a safetensors file, or a directory of .npy files.
import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { ARRAY_NAMES } from "./column-layout.js";
import { ColumnReader, type StoredColumn } from "./column-reader.js";
import { ioError, SourceFile } from "./local-file.js";
import { readNpyHeader } from "./npy-header.js";
import { NPY_DESCRIPTION } from "./npy-writer.js";
import type { RowReader } from "./row-file.js";
import { readHeader } from "./safetensors-header.js";
import { DESCRIPTION_NAME, parseDescription } from "./table-description.js";

/** @throws IO, CORRUPT, TOO_LARGE, UNSUPPORTED */
export async function openSafetensors(path: string): Promise<RowReader> {
  const file = await SourceFile.open(path);
  try {
    const { tensors, metadata, dataOffset } = await readHeader(file);
    const columns = new Map<string, StoredColumn>();
    for (const [name, { type, shape, begin }] of tensors)
      columns.set(name, { file, offset: dataOffset + begin, type, shape });
    const text = metadata.get(DESCRIPTION_NAME);
    return new ColumnReader(path, columns, text === undefined ? undefined : parseDescription(path, text));
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** @throws IO, CORRUPT, TOO_LARGE, UNSUPPORTED */
export async function openNpy(path: string): Promise<RowReader> {
  const files: SourceFile[] = [];
  try {
    const there = await namesIn(path);
    const columns = new Map<string, StoredColumn>();
    for (const name of ARRAY_NAMES) {
      if (!there.includes(`${name}.npy`)) continue;
      const file = await SourceFile.open(join(path, `${name}.npy`));
      files.push(file);
      const { type, shape, dataOffset } = await readNpyHeader(file);
      columns.set(name, { file, offset: dataOffset, type, shape });
    }
    const description = there.includes(NPY_DESCRIPTION)
      ? await readDescription(join(path, NPY_DESCRIPTION))
      : undefined;
    return new ColumnReader(path, columns, description);
  } catch (error) {
    for (const file of files) await file.close();
    throw error;
  }
}

async function namesIn(path: string): Promise<string[]> {
  try {
    return await readdir(path);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOTDIR")
      throw new EmbershardError(
        "INVALID_OPTIONS",
        `${path}: it is a file, expected a directory of .npy files, since its name ends with neither .safetensors nor .parquet: say its format`,
        { cause },
      );
    throw ioError(path, cause);
  }
}

async function readDescription(path: string) {
  try {
    if ((await stat(path)).size > 1 << 20)
      throw new EmbershardError("TOO_LARGE", `${path}: expected a description of at most 1 MiB`);
    const text = new TextDecoder("utf-8", { fatal: true }).decode(await readFile(path));
    return parseDescription(path, text);
  } catch (cause) {
    if (cause instanceof TypeError)
      throw new EmbershardError("CORRUPT", `${path}: it is not UTF-8`, { cause });
    throw ioError(path, cause);
  }
}
