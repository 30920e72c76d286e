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
export async function readVersionRoll(files: Files, { storeId, shard }: LogIdentity): Promise<VersionRoll> {
  if (!(await files.list()).includes(rollFileName)) return { names: [], whole: true };
  const said = await readSaid(files);
  const ours = said?.store === Buffer.from(storeId).toString("hex") && said.shard === shard;
  return { names: ours ? said.names : [], whole: ours };
}

interface SaidInRoll {
  readonly store: string;
  readonly shard: number;
  readonly names: readonly string[];
}

async function readSaid(files: Files): Promise<SaidInRoll | undefined> {
  if (!(await files.list()).includes(rollFileName)) return undefined;
  const file = await files.open(rollFileName, "read");
  try {
    const length = await file.size();
    const block = createHashBlock(Math.max(length, checksumBytes));
    await file.read(block.bytes.subarray(0, length), 0);
    return decode(block.bytes.subarray(0, length), block.checksum.bind(block));
  } finally {
    await file.close();
  }
}

/** The id of the store that the file is of, in hexadecimal; undefined where there is no file, or a damaged one. @throws IO */
export async function readRollStore(files: Files, shard: number): Promise<string | undefined> {
  const said = await readSaid(files);
  return said?.shard === shard ? said.store : undefined;
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
): SaidInRoll | undefined {
  const length = bytes.length - checksumBytes;
  if (length < 2) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  if (view.getBigUint64(0, true) !== checksum(checksumBytes, length, 0n)) return undefined;
  return JSON.parse(new TextDecoder().decode(bytes.subarray(checksumBytes))) as SaidInRoll;
}
