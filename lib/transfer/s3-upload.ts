// Files go to S3 in parts. What an interrupted upload left there is looked at, and parts with the right bytes stay.
import { createHash } from "node:crypto";
import { EmbershardError } from "../base/errors.js";
import { SourceFile } from "./local-file.js";
import type { S3Address } from "./s3-address.js";
import { type S3Client, tagOf, tagsOf } from "./s3-client.js";

/** Parts of an object at most. */
const MOST_PARTS = 10_000;

interface Part {
  readonly bytes: number;
  readonly etag: string;
}

/** Objects that this process uploads, and how many times at once. What another one is at work on is not unfinished. */
const atWork = new Map<string, number>();

export interface UploadOptions {
  readonly signal?: AbortSignal | undefined;
  readonly onBytes?: ((done: number, total: number) => void) | undefined;
}

/**
 * Uploads a file, one part in memory at a time, and goes on with an unfinished upload of the same object. One that fails
 * stays, to be gone on with; one that is aborted is removed. @throws IO, ABORTED
 */
export async function uploadFile(
  client: S3Client,
  address: S3Address,
  path: string,
  { signal, onBytes }: UploadOptions = {},
): Promise<void> {
  const file = await SourceFile.open(path);
  const where = JSON.stringify([client.settings.endpoint, address.bucket, address.key]);
  const others = atWork.get(where) ?? 0;
  atWork.set(where, others + 1);
  try {
    const partBytes = Math.max(client.settings.partBytes, Math.ceil(file.bytes / MOST_PARTS));
    if (file.bytes <= partBytes) {
      const body = await file.read(new Uint8Array(file.bytes), 0);
      await client.request(address, {
        method: "PUT",
        body,
        headers: { "content-md5": md5(body).toString("base64") },
      });
      onBytes?.(file.bytes, file.bytes);
      return;
    }
    const [unfinished] = others === 0 ? await unfinishedUploads(client, address) : [];
    const upload = unfinished ?? (await beginUpload(client, address));
    try {
      const there =
        unfinished === undefined ? new Map<number, Part>() : await partsOf(client, address, upload);
      await completeUpload(
        client,
        address,
        upload,
        await putParts(client, address, upload, file, partBytes, there, onBytes),
      );
    } catch (error) {
      if (signal?.aborted) await abortUpload(client.undisturbed(), address, upload);
      throw error;
    }
  } finally {
    const left = atWork.get(where)! - 1;
    if (left > 0) atWork.set(where, left);
    else atWork.delete(where);
    await file.close();
  }
}

async function putParts(
  client: S3Client,
  address: S3Address,
  upload: string,
  file: SourceFile,
  partBytes: number,
  there: ReadonlyMap<number, Part>,
  onBytes: UploadOptions["onBytes"],
): Promise<string[]> {
  const etags: string[] = [];
  const buffer = new Uint8Array(partBytes);
  for (let done = 0; done < file.bytes; ) {
    const body = await file.read(buffer.subarray(0, Math.min(partBytes, file.bytes - done)), done);
    const hash = md5(body);
    const number = etags.length + 1;
    const known = there.get(number);
    if (known?.bytes === body.length && known.etag === hash.toString("hex")) etags.push(known.etag);
    else {
      const { headers } = await client.request(address, {
        method: "PUT",
        query: { partNumber: String(number), uploadId: upload },
        headers: { "content-md5": hash.toString("base64") },
        body,
      });
      etags.push((headers.get("etag") ?? "").replaceAll('"', ""));
    }
    done += body.length;
    onBytes?.(done, file.bytes);
  }
  return etags;
}

async function beginUpload(client: S3Client, address: S3Address): Promise<string> {
  const { body } = await client.request(address, { method: "POST", query: { uploads: "" } });
  const upload = tagOf(Buffer.from(body).toString(), "UploadId");
  if (upload) return upload;
  throw new EmbershardError(
    "IO",
    `s3://${address.bucket}/${address.key}: the server began an upload without an id`,
  );
}

async function completeUpload(
  client: S3Client,
  address: S3Address,
  upload: string,
  etags: readonly string[],
): Promise<void> {
  const parts = etags.map(
    (etag, i) => `<Part><PartNumber>${i + 1}</PartNumber><ETag>"${etag}"</ETag></Part>`,
  );
  const { body } = await client.request(address, {
    method: "POST",
    query: { uploadId: upload },
    headers: { "content-type": "application/xml" },
    body: `<CompleteMultipartUpload xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join("")}</CompleteMultipartUpload>`,
  });
  const text = Buffer.from(body).toString();
  // This answer's status is sent before the server knows.
  if (
    tagOf(text, "CompleteMultipartUploadResult") === undefined &&
    !text.includes("<CompleteMultipartUploadResult")
  )
    throw new EmbershardError(
      "IO",
      `s3://${address.bucket}/${address.key}: the server could not put the parts together: ${tagOf(text, "Code") ?? ""} ${tagOf(text, "Message") ?? text.slice(0, 200)}`,
    );
}

async function abortUpload(client: S3Client, address: S3Address, upload: string): Promise<void> {
  await client.request(address, { method: "DELETE", query: { uploadId: upload }, expect: [404] });
}

/** Ids of unfinished uploads of an object, the newest first; none where the server cannot tell. */
async function unfinishedUploads(client: S3Client, address: S3Address): Promise<string[]> {
  const { status, body } = await client.request(
    { bucket: address.bucket, key: "" },
    { method: "GET", query: { uploads: "", prefix: address.key }, expect: [400, 403, 405, 501] },
  );
  if (status !== 200) return [];
  return tagsOf(Buffer.from(body).toString(), "Upload")
    .filter((upload) => tagOf(upload, "Key") === address.key)
    .sort((a, b) => (tagOf(b, "Initiated") ?? "").localeCompare(tagOf(a, "Initiated") ?? ""))
    .map((upload) => tagOf(upload, "UploadId") ?? "")
    .filter((id) => id !== "");
}

async function partsOf(client: S3Client, address: S3Address, upload: string): Promise<Map<number, Part>> {
  const parts = new Map<number, Part>();
  for (let marker = "0"; ; ) {
    const query = { uploadId: upload, "part-number-marker": marker };
    const { body } = await client.request(address, { method: "GET", query });
    const text = Buffer.from(body).toString();
    for (const part of tagsOf(text, "Part")) {
      const etag = (tagOf(part, "ETag") ?? "").replaceAll('"', "");
      parts.set(Number(tagOf(part, "PartNumber")), { bytes: Number(tagOf(part, "Size")), etag });
    }
    const next = tagOf(text, "NextPartNumberMarker");
    if (tagOf(text, "IsTruncated") !== "true" || next === undefined || next === marker) return parts;
    marker = next;
  }
}

/** Removes unfinished uploads of an object, and the parts that they hold, for which servers charge. Returns how many. */
export async function removeUploads(client: S3Client, address: S3Address): Promise<number> {
  const uploads = await unfinishedUploads(client, address);
  for (const upload of uploads) await abortUpload(client, address, upload);
  return uploads.length;
}

function md5(bytes: Uint8Array): Buffer {
  return createHash("md5").update(bytes).digest();
}
