// Which versions there are, in a file beside the log: a version that the page store has lost is missed by it.
// docs/formats/manifest.md is the document.
import { createHashBlock } from "../kernel/hash-block.js";
import { type Files, replaceFile } from "../store/files.js";
import type { LogIdentity } from "../store/log-format.js";

export const rollFileName = "VERSIONS";

const checksumBytes = 8;

/** What the file says. */
export interface VersionRoll {
  /** None where there is no file, or a damaged one. */
  readonly names: readonly string[];
  /** False where the file is damaged. */
  readonly whole: boolean;
}

/** Reads the file. Another store's, a copy that was mistaken, counts as damaged. @throws IO */
export async function readVersionRoll(files: Files, identity: LogIdentity): Promise<VersionRoll> {
  if (!(await files.list()).includes(rollFileName)) return { names: [], whole: true };
  const file = await files.open(rollFileName, "read");
  try {
    const length = await file.size();
    const block = createHashBlock(Math.max(length, checksumBytes));
    await file.read(block.bytes.subarray(0, length), 0);
    const names = decode(block.bytes.subarray(0, length), block.checksum.bind(block), identity);
    return { names: names ?? [], whole: names !== undefined };
  } finally {
    await file.close();
  }
}

/** Replaces the file, durably. @throws IO */
export async function writeVersionRoll(
  files: Files,
  { storeId, shard }: LogIdentity,
  names: Iterable<string>,
): Promise<void> {
  const store = Buffer.from(storeId).toString("hex");
  const json = new TextEncoder().encode(JSON.stringify({ store, shard, names: [...names] }));
  const block = createHashBlock(checksumBytes + json.length);
  block.bytes.set(json, checksumBytes);
  const view = new DataView(block.bytes.buffer, block.bytes.byteOffset);
  view.setBigUint64(0, block.checksum(checksumBytes, json.length, 0n), true);
  await replaceFile(files, rollFileName, block.bytes);
}

function decode(
  bytes: Uint8Array,
  checksum: (offset: number, length: number, seed: bigint) => bigint,
  identity: LogIdentity,
): string[] | undefined {
  const length = bytes.length - checksumBytes;
  if (length < 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getBigUint64(0, true) !== checksum(checksumBytes, length, 0n)) return undefined;
  const text = new TextDecoder().decode(bytes.subarray(checksumBytes));
  const { store, shard, names } = JSON.parse(text) as { store: string; shard: number; names: string[] };
  const ours = store === Buffer.from(identity.storeId).toString("hex") && shard === identity.shard;
  return ours ? names : undefined;
}
