// The version that a backup of shards at work is of: made for it, and deleted in the end.
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import type { VersionInfo } from "../api/version-types.js";
import { isAlive } from "../base/processes.js";

/** Where the version of a backup is made. */
export interface VersionMaker {
  list(): Promise<readonly VersionInfo[]>;
  make(version: { name: string; note: string; keep: number }): Promise<unknown>;
  delete(name: string): Promise<void>;
}

const namePattern = /^backup-[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const notePattern = /^for a backup under way by pid (\d+) of (.*), which deletes it$/;

function noteOf(pid: number, host: string): string {
  return `for a backup under way by pid ${pid} of ${host}, which deletes it`;
}

/** Makes a version for `work`, and deletes it in the end. Those that killed backups of this machine have left go first. */
export async function withVersion<T>(maker: VersionMaker, work: (version: string) => Promise<T>): Promise<T> {
  await deleteLeftOver(maker);
  const name = `backup-${randomUUID()}`;
  // Those that are there are kept, whatever the store says of keeping the newest.
  await maker.make({ name, note: noteOf(process.pid, hostname()), keep: 2 ** 31 - 1 });
  let result: T;
  try {
    result = await work(name);
  } catch (error) {
    // What went wrong first is told. A version that could not be deleted is listed, with its note.
    await maker.delete(name).catch(() => {});
    throw error;
  }
  await maker.delete(name);
  return result;
}

async function deleteLeftOver(maker: VersionMaker): Promise<void> {
  for (const { name, note } of await maker.list()) {
    if (!namePattern.test(name)) continue;
    const [, pid, host] = notePattern.exec(note) ?? [];
    if (host !== hostname() || isAlive(Number(pid))) continue;
    await maker.delete(name).catch((error) => {
      // Another backup was faster.
      if (error.code !== "VERSION_NOT_FOUND") throw error;
    });
  }
}
