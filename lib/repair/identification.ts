// What a store is, by its file `store` and by the files of its logs.
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import {
  formatVersion,
  type Identity,
  inspectDirectory,
  readIdentity,
  shardNumbers,
} from "../directory/identity.js";
import { createHashBlock } from "../kernel/hash-block.js";
import { slotCount } from "../shard/arena-set.js";
import { readRollStore } from "../shard/version-roll.js";
import type { Files, OpenFile } from "../store/files.js";
import { decodeSegmentHeader, firstLsnOf, segmentHeaderBytes } from "../store/log-format.js";
import { filesIn, listFolder, logFolder, pagesFolder } from "./shard-files.js";

export interface Identification {
  /** What the file `store` says, where that is true. */
  readonly identity: Identity | undefined;
  /** Why there is no identity. */
  readonly fault: EmbershardError | undefined;
  /** What the file should say, as far as file and logs tell: where the file cannot be read, nothing of a cluster. */
  readonly mended: Identity;
  /** 16 bytes; zeros where nothing says who the store is. */
  readonly storeId: Uint8Array;
  /** The shards that there are: those of the identity, without one those that have a folder. */
  readonly shards: readonly number[];
  /** The number of shards may be another one: the file says other shards than there are. */
  readonly miscounted: boolean;
  /** Bytes of the files that verification reads, about, and those of pages among them. */
  readonly bytes: number;
  readonly pageBytes: number;
}

/**
 * Finds out what a directory holds. A damaged file `store` is no error.
 *
 * @throws NOT_A_STORE, NEWER_FORMAT, IO
 */
export async function identify(directory: string): Promise<Identification> {
  const said = await inspected(directory);
  const folders = await shardNumbers(directory);
  const shards = said.identity || folders.length === 0 ? numbersTo(said.identity?.shards ?? 1) : folders;
  const votes = await identitiesInLogs(directory, shards);
  const { identity, fault } = settle(said, votes);
  const id = identity?.id ?? votes[0] ?? "0".repeat(32);
  const readable = said.identity ?? { format: formatVersion, slots: slotCount, shards: shards.length };
  const bytesOf = async (folder: (shard: number) => string, counts: (name: string) => boolean) =>
    sum(await Promise.all(shards.map((shard) => bytesIn(join(directory, folder(shard)), counts))));
  const pageBytes = await bytesOf(pagesFolder, () => true);
  const logBytes = await bytesOf(logFolder, (name) => name.endsWith(".log"));
  return {
    identity,
    fault,
    mended: { ...readable, id },
    storeId: Uint8Array.from(Buffer.from(id, "hex")),
    shards,
    miscounted: fault !== undefined && !isGapless(folders, await countSaid(directory)),
    bytes: pageBytes + logBytes,
    pageBytes,
  };
}

type Said = Pick<Identification, "identity" | "fault">;

async function inspected(directory: string): Promise<Said> {
  try {
    return { identity: await inspectDirectory(directory, { create: false }), fault: undefined };
  } catch (error) {
    if (!(error instanceof EmbershardError) || error.code !== "CORRUPT") throw error;
    return { identity: undefined, fault: error };
  }
}

/** How many shards the file says, if it can be read. */
async function countSaid(directory: string): Promise<number | undefined> {
  return readIdentity(directory).then(
    ({ shards }) => shards,
    () => undefined,
  );
}

/** Whether folders are those of all shards, as far as that can be known. */
function isGapless(folders: readonly number[], said: number | undefined): boolean {
  return folders.every((number, i) => number === i) && (said === undefined || said === folders.length);
}

/** A flipped digit makes `store` that of another store: then no file of the logs is its own. */
function settle(said: Said, votes: readonly string[]): Said {
  const { identity } = said;
  if (!identity || votes.length === 0 || votes.includes(identity.id)) return said;
  const message = `store says that the store is ${identity.id}, every file of the log that it is ${votes[0]}`;
  return { identity: undefined, fault: new EmbershardError("CORRUPT", message) };
}

/** The identities that files of the logs bear, that of most first. */
async function identitiesInLogs(directory: string, shards: readonly number[]): Promise<string[]> {
  const block = createHashBlock(segmentHeaderBytes);
  const votes = new Map<string, number>();
  for (const shard of shards) {
    const files = filesIn(join(directory, logFolder(shard)));
    for (const name of (await files.list()).filter((one) => firstLsnOf(one) !== undefined)) {
      const file = await openUnlessGone(files, name);
      if (!file) continue;
      try {
        await file.read(block.bytes.fill(0), 0);
      } finally {
        await file.close();
      }
      const header = decodeSegmentHeader(block);
      if (header?.shard !== shard) continue;
      const id = Buffer.from(header.storeId).toString("hex");
      votes.set(id, (votes.get(id) ?? 0) + 1);
    }
  }
  if (votes.size > 0) return [...votes].sort(([, a], [, b]) => b - a).map(([id]) => id);
  return identitiesInRolls(directory, shards);
}

/** A store at work may give up a segment meanwhile. */
function openUnlessGone(files: Files, name: string): Promise<OpenFile | undefined> {
  return files.open(name, "read").catch((error: EmbershardError) => {
    if ((error.cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  });
}

/** Without any segment the lists of versions tell whose logs these were. */
async function identitiesInRolls(directory: string, shards: readonly number[]): Promise<string[]> {
  const ids = await Promise.all(
    shards.map((shard) => readRollStore(filesIn(join(directory, logFolder(shard))), shard)),
  );
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/** A file may go while it is looked at: this is an estimate. */
async function bytesIn(folder: string, counts: (name: string) => boolean): Promise<number> {
  const names = (await listFolder(folder)).filter(counts);
  const sizes = names.map((name) =>
    stat(join(folder, name)).then(
      ({ size }) => size,
      () => 0,
    ),
  );
  return sum(await Promise.all(sizes));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((all, one) => all + one, 0);
}

function numbersTo(count: number): number[] {
  return Array.from({ length: count }, (_, number) => number);
}
