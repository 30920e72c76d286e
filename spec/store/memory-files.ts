import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import type { Files, OpenFile, OpenMode } from "../../lib/store/files.js";

export type FileOperation =
  | "open"
  | "write"
  | "read"
  | "datasync"
  | "truncate"
  | "remove"
  | "rename"
  | "syncDirectory";

type Change = { readonly position: number; readonly bytes: Uint8Array } | { readonly truncateTo: number };
type EntryChange =
  | { readonly create: string; readonly inode: Inode }
  | { readonly remove: string }
  | { readonly from: string; readonly to: string; readonly inode: Inode };

/** A file: what processes see, what the disk holds, and the changes between the two. */
class Inode {
  seen = new Content();
  durable = new Content();
  unsynced: Change[] = [];

  change(change: Change): void {
    this.seen.apply(change);
    this.unsynced.push(change);
  }

  sync(): void {
    for (const change of this.unsynced) this.durable.apply(change);
    this.unsynced = [];
  }
}

class Content {
  bytes = new Uint8Array(0);

  apply(change: Change): void {
    if ("truncateTo" in change) {
      this.#resize(change.truncateTo);
      return;
    }
    const end = change.position + change.bytes.length;
    if (end > this.bytes.length) this.#resize(end);
    this.bytes.set(change.bytes, change.position);
  }

  #resize(length: number): void {
    const bytes = new Uint8Array(length);
    bytes.set(this.bytes.subarray(0, length));
    this.bytes = bytes;
  }
}

/**
 * Files in memory on a disk with a volatile cache. `kill` ends the process: what was written stays. `crash` ends the
 * power: of what was not synced, any subset stays, torn anywhere. Faults are injected by the methods at the end.
 */
export class MemoryFiles implements Files {
  /** Bytes that fit in all files together. */
  capacityBytes = Number.POSITIVE_INFINITY;
  /** Awaited before each operation takes effect, when given. */
  schedule: (() => Promise<void>) | undefined;
  /** Operations done so far, failed ones too. */
  operations = 0;
  #seen = new Map<string, Inode>();
  #durable = new Map<string, Inode>();
  #unsynced: EntryChange[] = [];
  #faults: { operation: FileOperation | "any"; after: number; code: string }[] = [];
  #inFlight = new Set<{ inode: Inode; change: Change }>();
  // Handles of an ended process do nothing more.
  #life = 0;

  async list(): Promise<string[]> {
    return [...this.#seen.keys()];
  }

  async open(name: string, mode: OpenMode): Promise<OpenFile> {
    await this.#operation("open");
    let inode = this.#seen.get(name);
    if (mode === "create") {
      if (inode) inode.change({ truncateTo: 0 });
      else {
        inode = new Inode();
        this.#seen.set(name, inode);
        this.#unsynced.push({ create: name, inode });
      }
    }
    if (!inode) throw ioError("ENOENT");
    return this.#handle(inode);
  }

  async remove(name: string): Promise<void> {
    await this.#operation("remove");
    if (!this.#seen.delete(name)) throw ioError("ENOENT");
    this.#unsynced.push({ remove: name });
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#operation("rename");
    const inode = this.#seen.get(from);
    if (!inode) throw ioError("ENOENT");
    this.#seen.delete(from);
    this.#seen.set(to, inode);
    this.#unsynced.push({ from, to, inode });
  }

  async syncDirectory(): Promise<void> {
    await this.#operation("syncDirectory");
    for (const change of this.#unsynced) applyEntry(this.#durable, change);
    this.#unsynced = [];
  }

  /** The files as one process has them: when it ends, nothing that it still tries has an effect. */
  ofThisLife(): Files {
    const life = this.#life;
    const alive = async <T>(operation: () => Promise<T>): Promise<T> => {
      if (life !== this.#life) throw ioError("EBADF");
      return operation();
    };
    return {
      list: () => alive(() => this.list()),
      open: (name, mode) => alive(() => this.open(name, mode)),
      remove: (name) => alive(() => this.remove(name)),
      rename: (from, to) => alive(() => this.rename(from, to)),
      syncDirectory: () => alive(() => this.syncDirectory()),
    };
  }

  /** Ends the process: writes under way are done up to any byte. */
  kill(seed: number): void {
    const random = new Prng(seed);
    for (const { inode, change } of this.#inFlight) {
      if ("bytes" in change) {
        inode.change({
          position: change.position,
          bytes: change.bytes.slice(0, random.below(change.bytes.length + 1)),
        });
      }
    }
    this.#endLife();
  }

  /** Ends the power: each unsynced change is kept, dropped or torn. */
  crash(seed: number): void {
    const random = new Prng(seed);
    const inodes = new Set([...this.#seen.values(), ...this.#durable.values()]);
    for (const { inode, change } of this.#inFlight) inode.unsynced.push(change);
    for (const inode of inodes) {
      for (const change of inode.unsynced)
        for (const kept of survivors(change, random)) inode.durable.apply(kept);
      inode.unsynced = [];
      inode.seen.bytes = inode.durable.bytes.slice();
    }
    for (const change of this.#unsynced) if (random.below(2) === 0) applyEntry(this.#durable, change);
    this.#unsynced = [];
    this.#seen = new Map(this.#durable);
    this.#endLife();
  }

  /** The operation of this kind that comes after `after` others of it fails with `code`. */
  failOnce(operation: FileOperation | "any", after: number, code = "EIO"): void {
    this.#faults.push({ operation, after, code });
  }

  clearFaults(): void {
    this.#faults = [];
  }

  names(): string[] {
    return [...this.#seen.keys()].sort();
  }

  /** A copy of a file. */
  content(name: string): Uint8Array {
    return this.#seen.get(name)!.seen.bytes.slice();
  }

  flipBit(name: string, bit: number): void {
    this.#edit(name, (bytes) => {
      bytes[bit >> 3] ^= 1 << (bit & 7);
      return bytes;
    });
  }

  cut(name: string, length: number): void {
    this.#edit(name, (bytes) => bytes.slice(0, length));
  }

  put(name: string, bytes: Uint8Array): void {
    const inode = new Inode();
    this.#seen.set(name, inode);
    this.#durable.set(name, inode);
    this.#edit(name, () => bytes.slice());
  }

  drop(name: string): void {
    this.#seen.delete(name);
    this.#durable.delete(name);
  }

  /** An independent copy of what processes see, as if it were all durable. */
  copy(): MemoryFiles {
    const copy = new MemoryFiles();
    for (const name of this.#seen.keys()) copy.put(name, this.content(name));
    return copy;
  }

  #edit(name: string, change: (bytes: Uint8Array) => Uint8Array): void {
    const inode = this.#seen.get(name)!;
    inode.seen.bytes = new Uint8Array(change(inode.seen.bytes.slice()));
    inode.durable.bytes = inode.seen.bytes.slice();
    inode.unsynced = [];
  }

  #handle(inode: Inode): OpenFile {
    const life = this.#life;
    const demandLife = () => {
      if (life !== this.#life) throw ioError("EBADF");
    };
    return {
      write: async (given, position, zeros = 0) => {
        const withZeros = () =>
          new Uint8Array(zeros === 0 ? given : Buffer.concat([given, Buffer.alloc(zeros)]));
        const flight = {
          inode,
          get change() {
            return { position, bytes: withZeros() };
          },
        };
        this.#inFlight.add(flight);
        try {
          await this.#operation("write");
          demandLife();
          // The disk reads the memory when it gets to it, as a thread of the system does.
          this.#write(inode, position, withZeros());
        } finally {
          this.#inFlight.delete(flight);
        }
      },
      read: async (into, position) => {
        await this.#operation("read");
        demandLife();
        const found = inode.seen.bytes.subarray(position, position + into.length);
        into.set(found);
        return found.length;
      },
      datasync: async () => {
        try {
          await this.#operation("datasync");
        } catch (error) {
          // As Linux does: the pages count as clean, so that no later sync writes them.
          if (life === this.#life) inode.unsynced = [];
          throw error;
        }
        demandLife();
        inode.sync();
      },
      forget: () => undefined,
      truncate: async (truncateTo) => {
        await this.#operation("truncate");
        demandLife();
        inode.change({ truncateTo });
      },
      size: async () => inode.seen.bytes.length,
      close: async () => undefined,
    };
  }

  #write(inode: Inode, position: number, bytes: Uint8Array): void {
    let used = 0;
    for (const { seen } of this.#seen.values()) used += seen.bytes.length;
    const growth = Math.max(0, position + bytes.length - inode.seen.bytes.length);
    if (used + growth <= this.capacityBytes) {
      inode.change({ position, bytes });
      return;
    }
    const fitting = Math.max(0, bytes.length - (used + growth - this.capacityBytes));
    if (fitting > 0) inode.change({ position, bytes: bytes.slice(0, fitting) });
    throw ioError("ENOSPC");
  }

  async #operation(operation: FileOperation): Promise<void> {
    const life = this.#life;
    await this.schedule?.();
    if (life !== this.#life) throw ioError("EBADF");
    this.operations++;
    for (const fault of this.#faults) {
      if (fault.operation !== operation && fault.operation !== "any") continue;
      if (fault.after-- > 0) continue;
      this.#faults = this.#faults.filter((other) => other !== fault);
      throw ioError(fault.code);
    }
  }

  #endLife(): void {
    this.#life++;
    this.#inFlight.clear();
    this.#faults = [];
  }
}

function survivors(change: Change, random: Prng): Change[] {
  const fate = random.below(3);
  if (fate === 0) return [];
  if (fate === 1 || "truncateTo" in change) return [change];
  // A torn write: one stretch of it, from any byte to any other.
  const begin = random.below(2) === 0 ? 0 : random.below(change.bytes.length + 1);
  const end = begin + random.below(change.bytes.length - begin + 1);
  return [{ position: change.position + begin, bytes: change.bytes.slice(begin, end) }];
}

function applyEntry(entries: Map<string, Inode>, change: EntryChange): void {
  if ("create" in change) entries.set(change.create, change.inode);
  else if ("remove" in change) entries.delete(change.remove);
  else {
    entries.delete(change.from);
    entries.set(change.to, change.inode);
  }
}

function ioError(code: string): EmbershardError {
  return new EmbershardError("IO", `the disk said ${code}`, {
    cause: Object.assign(new Error(code), { code }),
  });
}
