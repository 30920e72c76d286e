import { EmbershardError } from "../base/errors.js";
import { openNpy, openSafetensors } from "./array-files.js";
import { NpyWriter } from "./npy-writer.js";
import { openParquet } from "./parquet-reader.js";
import { ParquetFileWriter } from "./parquet-writer.js";
import type { RowReader, RowWriter } from "./row-file.js";
import { SafetensorsWriter, type WriterOptions } from "./safetensors-writer.js";
import type { TransferFormat } from "./transfer-types.js";

interface Format {
  /** Whether it is a directory of files. */
  readonly directory: boolean;
  create(options: WriterOptions): Promise<RowWriter>;
  open(path: string): Promise<RowReader>;
}

export const FORMATS: Readonly<Record<TransferFormat, Format>> = {
  safetensors: {
    directory: false,
    create: (options) => SafetensorsWriter.create(options),
    open: openSafetensors,
  },
  npy: { directory: true, create: (options) => NpyWriter.create(options), open: openNpy },
  parquet: { directory: false, create: (options) => ParquetFileWriter.create(options), open: openParquet },
};

/** The format that is named, or that a path's end tells. @throws INVALID_OPTIONS */
export function formatOf(path: string, format: unknown): TransferFormat {
  if (format === undefined) {
    if (path.endsWith(".safetensors")) return "safetensors";
    return path.endsWith(".parquet") ? "parquet" : "npy";
  }
  if (typeof format === "string" && Object.hasOwn(FORMATS, format)) return format as TransferFormat;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `found format ${JSON.stringify(format)}, expected ${Object.keys(FORMATS).join(", ")}`,
  );
}
