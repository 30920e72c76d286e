import type { Files, OpenFile } from "../../lib/store/files.js";
import type { SegmentLog } from "../../lib/store/segment-log.js";
import { append, reopen } from "./log-fixture.js";
import { MemoryFiles } from "./memory-files.js";

/**
 * Files whose syncs of segments and of the directory can be held up, which know how many of them are open, and which take
 * their time to close.
 */
export class HeldFiles implements Files {
  readonly memory = new MemoryFiles();
  /** Whether writes take their time, too. */
  slowWrites = false;
  /** Files that were opened and not closed. */
  open = async (name: string, mode: "create" | "write" | "read"): Promise<OpenFile> => {
    const file = await this.memory.open(name, mode);
    const handle = { name };
    this.#handles.add(handle);
    return {
      ...file,
      write: async (bytes, position, zeros) => {
        if (this.slowWrites)
          for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
        await file.write(bytes, position, zeros);
      },
      datasync: async () => {
        if (handle.name.endsWith(".log")) await this.#held;
        await file.datasync();
      },
      close: async () => {
        if (!this.#handles.delete(handle)) throw new Error(`${handle.name} is closed twice`);
        await file.close();
        await new Promise((resolve) => setImmediate(resolve));
      },
    };
  };
  readonly #handles = new Set<{ name: string }>();
  #held: Promise<void> | undefined;
  #release: () => void = () => undefined;

  get openFiles(): number {
    return this.#handles.size;
  }

  hold(): void {
    this.#held = new Promise((resolve) => {
      this.#release = resolve;
    });
  }

  release(): void {
    this.#held = undefined;
    this.#release();
  }

  list(): Promise<string[]> {
    return this.memory.list();
  }

  remove(name: string): Promise<void> {
    return this.memory.remove(name);
  }

  async rename(from: string, to: string): Promise<void> {
    await this.memory.rename(from, to);
    for (const handle of this.#handles) if (handle.name === from) handle.name = to;
  }

  async syncDirectory(): Promise<void> {
    await this.#held;
    await this.memory.syncDirectory();
  }
}

/** A log that has changed its segment while no sync came to an end. */
export interface ChangedLog {
  readonly held: HeldFiles;
  readonly log: SegmentLog;
  /** The first LSN that is needed, of the segment that was left, and of the one that was entered. */
  readonly from: number;
  readonly left: number;
  readonly entered: number;
  /** Up to here all is durable; up to there it is written. */
  readonly syncedLsn: number;
  readonly lastLsn: number;
}

/**
 * Both segments are written over older ones. `syncing` is given what resolves with a sync that is under way at the change
 * and covers one record.
 */
export async function changedLog(
  logBufferBytes = 2 ** 16,
  syncing?: (synced: Promise<void>) => void,
): Promise<ChangedLog> {
  const held = new HeldFiles();
  const { log } = await reopen(held, {
    segmentBytes: 4096 + 1500,
    syncEveryBytes: 2 ** 30,
    logBufferBytes,
  });
  const segmentNow = () => firstLsns(held).at(-1)!;
  while (firstLsns(held).length < 6) await log.synced(await append(log));
  const from = firstLsns(held).at(-2)!;
  await log.discardBefore(from);
  const before = segmentNow();
  while (segmentNow() === before) await log.synced(await append(log));
  await log.synced(await append(log));
  const { syncedLsn } = log;
  const left = segmentNow();
  held.hold();
  if (syncing) {
    await log.written(await append(log));
    syncing(log.synced(log.nextLsn - 1)!);
  }
  const segments = log.segments;
  while (log.segments === segments) await append(log);
  await log.written(await append(log));
  return { held, log, from, left, entered: segmentNow(), syncedLsn, lastLsn: log.nextLsn - 1 };
}

function firstLsns({ memory }: HeldFiles): number[] {
  return memory
    .names()
    .filter((name) => name.endsWith(".log"))
    .map((name) => Number.parseInt(name, 16));
}
