// Exports to S3 and imports from it: by way of a copy in the scratch directory, so that columns can be written side by side
// and a file can be checked before anything of it is taken.
import { mkdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { ARRAY_NAMES } from "./column-layout.js";
import { NPY_DESCRIPTION } from "./npy-writer.js";
import { parseAddress, type S3Address, settingsOf } from "./s3-address.js";
import { S3Client } from "./s3-client.js";
import { downloadFile } from "./s3-download.js";
import { removeUploads, uploadFile } from "./s3-upload.js";
import { scratchDirectory, withDirectory } from "./scratch-directory.js";
import type {
  ExportOptions,
  ExportReport,
  ImportOptions,
  S3Options,
  TransferFormat,
} from "./transfer-types.js";

const NPY_FILES: readonly string[] = [...ARRAY_NAMES.map((name) => `${name}.npy`), NPY_DESCRIPTION];

/** Has `write` export to a path, and uploads what is there then. */
export async function exportToS3(
  target: string,
  { s3, scratch, signal, onProgress }: ExportOptions,
  write: (path: string) => Promise<ExportReport>,
): Promise<ExportReport> {
  const address = parseAddress(target);
  const client = await S3Client.create(settingsOf(s3 ?? {}, process.env), signal);
  return withDirectory(await scratchDirectory(scratch), async (place) => {
    const report = await write(join(place, "export"));
    if (report.format === "npy") await removeOthers(client, address, report.files);
    let before = 0;
    for (const path of report.files) {
      const onBytes = (done: number) =>
        onProgress?.({ phase: "upload", done: before + done, total: report.bytes });
      await uploadFile(client, addressOf(address, report.format, path), path, { signal, onBytes });
      before += (await stat(path)).size;
    }
    const files = report.files.map((path) => addressText(addressOf(address, report.format, path)));
    return { ...report, files };
  });
}

/** Deletes the arrays of an earlier export there that this one does not have: they would be read as its own. */
async function removeOthers(client: S3Client, address: S3Address, files: readonly string[]): Promise<void> {
  const written = new Set(files.map((path) => basename(path)));
  for (const name of NPY_FILES.filter((one) => !written.has(one)))
    await client.request({ ...address, key: `${address.key}/${name}` }, { method: "DELETE", expect: [404] });
}

function addressOf(address: S3Address, format: TransferFormat, path: string): S3Address {
  return format === "npy" ? { ...address, key: `${address.key}/${basename(path)}` } : address;
}

function addressText({ bucket, key }: S3Address): string {
  return `s3://${bucket}/${key}`;
}

/** Downloads a source and lets `read` import from a path. */
export async function importFromS3<T>(
  source: string,
  format: TransferFormat,
  { s3, scratch, signal, onProgress }: ImportOptions,
  read: (path: string) => Promise<T>,
): Promise<T> {
  const address = parseAddress(source);
  const client = await S3Client.create(settingsOf(s3 ?? {}, process.env), signal);
  const directory = await scratchDirectory(scratch);
  return withDirectory(directory, async (place) => {
    const path = join(place, "import");
    const onBytes = (done: number, total: number) => onProgress?.({ phase: "download", done, total });
    let found = 0;
    if (format === "npy") await mkdir(path);
    for (const name of format === "npy" ? NPY_FILES : [""]) {
      const from = name === "" ? address : { ...address, key: `${address.key}/${name}` };
      const into = name === "" ? path : join(path, name);
      if (await downloadFile(client, from, into, directory, { signal, onBytes })) found++;
    }
    if (found === 0) throw new EmbershardError("IO", `${source}: there is no such object`);
    return read(path);
  });
}

/**
 * Removes what interrupted exports to an address left at the server: unfinished uploads, which a further export to the
 * address would go on with, and for which servers charge. Returns how many there were.
 *
 * @throws INVALID_ARGUMENT, INVALID_OPTIONS, IO
 */
export async function removeUnfinishedUploads(target: string, s3: S3Options = {}): Promise<number> {
  const address = parseAddress(target);
  const client = await S3Client.create(settingsOf(s3, process.env), undefined);
  let removed = 0;
  for (const key of [address.key, ...NPY_FILES.map((name) => `${address.key}/${name}`)])
    removed += await removeUploads(client, { ...address, key });
  return removed;
}
