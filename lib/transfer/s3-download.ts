// Objects come from S3 range by range. A download that was cut short is gone on with: its name says of which bytes it is.
import { createHash, randomBytes } from "node:crypto";
import { open, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { isAlive } from "../base/processes.js";
import { ioError } from "./local-file.js";
import type { S3Address } from "./s3-address.js";
import { type S3Client, tagOf } from "./s3-client.js";
import type { UploadOptions } from "./s3-upload.js";

/**
 * Brings an object into a file at `into`, one range in memory at a time. What is there of it already, in `scratch`, is not
 * asked for again. Returns false where there is no such object. @throws IO, ABORTED
 */
export async function downloadFile(
  client: S3Client,
  address: S3Address,
  into: string,
  scratch: string,
  { signal, onBytes }: UploadOptions = {},
): Promise<boolean> {
  const headers = await headersOf(client, address);
  if (!headers) return false;
  const total = Number(headers.get("content-length"));
  const etag = headers.get("etag") ?? "";
  const id = JSON.stringify([client.settings.endpoint, address.bucket, address.key, etag, total]);
  const name = createHash("sha256").update(id).digest("hex").slice(0, 32);
  const partial = join(scratch, `${name}-${process.pid}-${randomBytes(4).toString("hex")}.partial`);
  try {
    await takeOver(scratch, name, partial);
    if (!(await fetchRanges(client, address, partial, total, etag, onBytes))) {
      await rm(partial, { force: true });
      throw new EmbershardError(
        "IO",
        `s3://${address.bucket}/${address.key} was replaced or removed while it was read: import it again`,
      );
    }
    await rename(partial, into);
  } catch (error) {
    if (signal?.aborted) await rm(partial, { force: true });
    // What came of it, if anything, is for whoever tries again.
    else await rename(partial, join(scratch, `${name}.partial`)).catch(() => {});
    throw ioError(partial, error);
  }
  return true;
}

/** The headers of an object, undefined where there is none. */
async function headersOf(client: S3Client, address: S3Address): Promise<Headers | undefined> {
  const { status, headers } = await client.request(address, {
    method: "HEAD",
    expect: [400, 401, 403, 404],
  });
  if (status < 300) return headers;
  // An answer to HEAD has no body. That to GET says which of the two is missing, or why it is refused.
  const { status: again, body } = await client.request(address, {
    method: "GET",
    headers: { range: "bytes=0-0" },
    expect: [404],
  });
  const where = `s3://${address.bucket}`;
  if (again !== 404)
    throw new EmbershardError("IO", `HEAD ${where}/${address.key}: the server answered ${status}`);
  if (tagOf(Buffer.from(body).toString(), "Code") === "NoSuchBucket")
    throw new EmbershardError("IO", `${where}: there is no such bucket`);
  return undefined;
}

/** Gives what came of an object before another name, `partial`: what a download left that failed, or was killed, not one at work. */
async function takeOver(scratch: string, name: string, partial: string): Promise<void> {
  for (const found of await readdir(scratch)) {
    if (!found.startsWith(name)) continue;
    const [, pid] = /-(\d+)-[0-9a-f]{8}\.partial$/.exec(found) ?? [];
    if (pid !== undefined && isAlive(Number(pid))) continue;
    const taken = await rename(join(scratch, found), partial).then(
      () => true,
      // Another download was faster.
      () => false,
    );
    if (taken) return;
  }
}

/** Returns false where the object is not the one that it was. */
async function fetchRanges(
  client: S3Client,
  address: S3Address,
  partial: string,
  total: number,
  etag: string,
  onBytes: UploadOptions["onBytes"],
): Promise<boolean> {
  const file = await open(partial, "a", 0o600);
  try {
    let { size } = await file.stat();
    if (size > total) {
      await file.truncate(0);
      size = 0;
    }
    while (size < total) {
      const last = Math.min(total, size + client.settings.partBytes) - 1;
      const { status, body } = await client.request(address, {
        method: "GET",
        headers: { range: `bytes=${size}-${last}`, ...(etag && { "if-match": etag }) },
        expect: [404, 412],
      });
      if (status === 404 || status === 412) return false;
      const whole = status === 200 && body.length === total && size === 0;
      if (!whole && body.length !== last + 1 - size)
        throw new EmbershardError(
          "IO",
          `s3://${address.bucket}/${address.key}: asked for bytes ${size} to ${last}, got ${body.length} with status ${status}`,
        );
      await file.appendFile(body);
      size += body.length;
      onBytes?.(size, total);
    }
    return true;
  } finally {
    await file.close();
  }
}
