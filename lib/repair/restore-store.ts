import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import type { Identity } from "../directory/identity.js";
import { directoryOf } from "./access.js";
import {
  type BackupInfo,
  backupName,
  backupNumbers,
  type PagePlace,
  packName,
  readBackup,
  readBackupIdentity,
  readShardBackup,
  type ShardBackup,
  storeIdOf,
} from "./backup-directory.js";
import { ENTRY, EntryReader, type FileOwner } from "./entry-file.js";
import { demandWanted } from "./page-inventory.js";
import type { RepairProgress } from "./report.js";
import type { ShardBuilder } from "./shard-builder.js";
import { StoreBuilder } from "./store-builder.js";
import { describeKey, proverOf } from "./stored-values.js";

export interface RestoreOptions {
  /** The number of the backup; the last one unless given. */
  readonly at?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
}

/**
 * Makes a store out of a backup, in an empty or new directory: the same rows, to the bit. Every byte is checked.
 *
 * @throws NOT_A_STORE, INVALID_ARGUMENT when there is no such backup, CORRUPT naming what is damaged: there is no store then; IO, ABORTED
 */
export async function restoreStore(
  from: string,
  to: string,
  options: RestoreOptions = {},
): Promise<BackupInfo> {
  const [source, directory] = [directoryOf(from), directoryOf(to)];
  const identity = await readBackupIdentity(source);
  const numbers = await backupNumbers(source);
  const number = options.at ?? numbers.at(-1);
  if (number === undefined || !numbers.includes(number))
    throw new EmbershardError(
      "INVALID_ARGUMENT",
      `${source} has no backup ${number ?? ""}: there ${numbers.length > 0 ? `are ${numbers.join(", ")}` : "is none"}`,
    );
  const info = await readBackup(source, number, identity);
  const { placement } = info;
  const builder = await StoreBuilder.begin(directory, { ...identity, ...(placement && { placement }) });
  try {
    await restoreShards({ source, number, identity }, builder, options);
    await builder.finish();
    return info;
  } catch (error) {
    await builder.abandon();
    throw error;
  }
}

interface RestoreSource {
  readonly source: string;
  readonly number: number;
  readonly identity: Identity;
}

/** Restores shard after shard; progress is over all. */
async function restoreShards(
  { source, number, identity }: RestoreSource,
  builder: StoreBuilder,
  { signal, onProgress }: RestoreOptions,
): Promise<void> {
  const storeId = storeIdOf(identity);
  const owners = Array.from({ length: identity.shards }, (_, shard): FileOwner => ({ storeId, shard }));
  let total = 0;
  for (const owner of owners)
    for (const { bytes } of (await readShardBackup(source, number, owner)).places) total += bytes;
  let bytes = 0;
  const onBytes = (more: number) => {
    bytes += more;
    onProgress?.({ bytes, total });
  };
  for (const owner of owners) {
    const { info, places } = await readShardBackup(source, number, owner);
    await builder.shard(info, async (shard) => {
      await restorePages({ source, owner, places }, shard, { signal, onBytes });
      await restoreRest({ source, owner, number, info }, shard, signal);
    });
  }
}

async function restorePages(
  {
    source,
    owner,
    places,
  }: { readonly source: string; readonly owner: FileOwner; readonly places: readonly PagePlace[] },
  builder: ShardBuilder,
  { signal, onBytes }: { readonly signal: AbortSignal | undefined; readonly onBytes: (more: number) => void },
): Promise<void> {
  const prove = proverOf();
  const inOrder = [...places].sort((a, b) => a.pack - b.pack || a.offset - b.offset);
  let reader: EntryReader | undefined;
  let open = 0;
  try {
    for (const { key, checksum, pack, offset } of inOrder) {
      demandWanted(signal);
      if (pack !== open) {
        await reader?.close();
        reader = await EntryReader.open(join(source, packName(owner.shard, pack)), owner);
        open = pack;
      }
      const entry = await reader!.entryAt(offset);
      const fault =
        Buffer.compare(entry.key, key) !== 0 || entry.kind !== ENTRY.page
          ? "it is another page"
          : prove(entry, checksum);
      if (fault !== undefined)
        throw new EmbershardError(
          "CORRUPT",
          `${reader!.path}, offset ${offset}: ${describeKey(key)}: ${fault}`,
        );
      await builder.put(entry.key, entry.value);
      onBytes(entry.value.length);
    }
  } finally {
    await reader?.close();
  }
}

/** Manifests, then the log. */
async function restoreRest(
  {
    source,
    owner,
    number,
    info,
  }: {
    readonly source: string;
    readonly owner: FileOwner;
    readonly number: number;
    readonly info: ShardBackup;
  },
  builder: ShardBuilder,
  signal: AbortSignal | undefined,
): Promise<void> {
  const reader = await EntryReader.open(join(source, backupName(owner.shard, number)), owner);
  const prove = proverOf();
  let values = 0;
  try {
    for await (const entry of reader.entries()) {
      demandWanted(signal);
      const { kind, key, value, lsn, offset } = entry;
      const corrupt = (reason: string) =>
        new EmbershardError("CORRUPT", `${reader.path}, offset ${offset}: ${reason}`);
      if (kind === ENTRY.value) {
        const fault = prove(entry);
        if (fault !== undefined) throw corrupt(fault);
        await builder.put(key, value);
        values++;
      } else if (kind === ENTRY.record) {
        if (lsn !== builder.nextLsn)
          throw corrupt(`record ${lsn} was found where ${builder.nextLsn} belongs`);
        const head = new DataView(key.buffer, key.byteOffset, key.length);
        await builder.append(head.getUint16(0, true), head.getUint16(2, true), value);
      }
    }
  } finally {
    await reader.close();
  }
  if (values !== info.values || builder.nextLsn !== info.lsn + 1)
    throw new EmbershardError(
      "CORRUPT",
      `${reader.path} ends at LSN ${builder.nextLsn - 1} with ${values} values, expected ${info.lsn} and ${info.values}`,
    );
}
