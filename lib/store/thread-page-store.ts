import type { Worker } from "node:worker_threads";
// Loaded here too, and never used: Node unloads an addon with the last thread that has it, though the thread that LevelDB
// keeps to itself may still be in its code.
import "level";
import { EmbershardError } from "../base/errors.js";
import { EntryBuffer, unpackEntries } from "./entry-buffer.js";
import type { PageStoreOptions } from "./level-page-store.js";
import { readPlace } from "./level-places.js";
import type {
  FoundValues,
  KeyRange,
  PageBatch,
  PageEntry,
  PageStore,
  PlacedValues,
  ValuePlace,
} from "./page-store.js";
import type { PageAnswer, PageCall, PageReply, PageRequest } from "./page-thread-messages.js";
import { returnPageThread, takePageThread } from "./page-threads.js";

/**
 * Opens the page store in `directory`, as `openLevelPageStore` does, in a thread that has no other: a page then costs its
 * caller one copy, and iterating reads ahead while the caller works. The thread does not keep the process alive.
 * Errors: as `openLevelPageStore`.
 */
export async function openThreadPageStore(
  directory: string,
  options: PageStoreOptions = {},
): Promise<PageStore> {
  const store = new ThreadPageStore(directory, options);
  await store.open();
  return store;
}

const stagingBytes = 4 * 2 ** 20 + 2 ** 16;

interface Waiting {
  resolve(answer: PageAnswer): void;
  reject(error: EmbershardError): void;
}

class ThreadPageStore implements PageStore {
  readonly #directory: string;
  readonly #options: PageStoreOptions;
  #worker: Worker | undefined;
  #waiting = new Map<number, Waiting>();
  #calls = 0;
  // Memory that goes to the thread with a batch and comes back with the answer.
  #spareMemory: ArrayBuffer | undefined;

  constructor(directory: string, options: PageStoreOptions) {
    this.#directory = directory;
    this.#options = options;
  }

  async open(): Promise<void> {
    const worker = takePageThread();
    worker.on("message", (reply: PageReply) => this.#settle(reply));
    worker.on("error", (cause) => this.#abandon(worker, cause));
    worker.on("exit", () => this.#abandon(worker, undefined));
    this.#worker = worker;
    try {
      await this.#call({ call: "open", directory: this.#directory, options: this.#options });
    } catch (error) {
      await this.#end();
      throw error;
    }
  }

  async *entries({ gte, lt }: KeyRange): AsyncGenerator<readonly PageEntry[]> {
    const { iteration } = await this.#call({ call: "iterate", gte, lt });
    const ask = () => {
      const answer = this.#call({ call: "next", iteration: iteration! });
      // Awaited only after the caller had the batch before; it must not count as unhandled meanwhile.
      answer.catch(() => undefined);
      return answer;
    };
    let coming: Promise<PageAnswer> | undefined = ask();
    try {
      for (;;) {
        const { memory, usedBytes, entries }: PageAnswer = await coming;
        if (!memory && !entries) {
          coming = undefined;
          return;
        }
        coming = ask();
        yield entries ?? ([...unpackEntries(memory!, usedBytes!)] as PageEntry[]);
      }
    } finally {
      if (coming && this.#worker) {
        await Promise.allSettled([coming]);
        await this.#call({ call: "end", iteration: iteration! });
      }
    }
  }

  async place(ranges: readonly KeyRange[]): Promise<PlacedValues | undefined> {
    const { placement, memory, usedBytes } = await this.#call({ call: "place", ranges });
    if (placement === undefined) return undefined;
    const places = [...unpackEntries(memory!, usedBytes!)].map(({ key, value }): ValuePlace => {
      const [fd, offset, length, unseen] = new Float64Array(value!.buffer, value!.byteOffset, 4);
      return { key, fd, offset, length, unseen: Number.isNaN(unseen) ? undefined : unseen };
    });
    const close = async () => {
      // When the thread is gone, so are its files.
      if (this.#worker) await this.#call({ call: "leave", placement });
    };
    return { places, read: readPlace, close };
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return (await this.#call({ call: "get", key })).value;
  }

  async getMany(keys: Uint8Array, keyBytes: number): Promise<FoundValues> {
    const memory = new Uint8Array(keys).buffer;
    const { memory: found, ends } = await this.#call({ call: "getMany", memory, keyBytes }, [memory]);
    return { bytes: new Uint8Array(found!), ends: ends! };
  }

  batch(): PageBatch {
    this.#open();
    const buffer = new EntryBuffer(this.#spareMemory ?? new ArrayBuffer(stagingBytes));
    this.#spareMemory = undefined;
    return {
      put: (key, value) => buffer.add(key, value),
      del: (key) => buffer.add(key, undefined),
      write: async () => {
        const { usedBytes } = buffer;
        const memory = buffer.take();
        this.#spareMemory = (await this.#call({ call: "write", memory, usedBytes }, [memory])).memory;
      },
    };
  }

  async compact({ gte, lt }: KeyRange): Promise<void> {
    await this.#call({ call: "compact", gte, lt });
  }

  async reopen(): Promise<void> {
    if (this.#worker) await this.#call({ call: "reopen" });
    else await this.open();
  }

  async close(): Promise<void> {
    if (!this.#worker) return;
    try {
      await this.#call({ call: "close" });
    } catch (error) {
      await this.#end();
      throw error;
    }
    const worker = this.#worker;
    // With a question still open its answer would come to whoever has the thread next.
    if (!worker || this.#waiting.size > 0) return this.#end();
    this.#worker = undefined;
    await returnPageThread(worker);
  }

  async #end(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #open(): Worker {
    if (!this.#worker) throw new EmbershardError("CLOSED", `the page store ${this.#directory} is closed`);
    return this.#worker;
  }

  #call(body: PageCall, transfer: ArrayBuffer[] = []): Promise<PageAnswer> {
    return new Promise((resolve, reject) => {
      const worker = this.#open();
      const request: PageRequest = { id: ++this.#calls, body };
      worker.postMessage(request, transfer);
      this.#waiting.set(request.id, { resolve, reject });
      worker.ref();
    });
  }

  #settle(reply: PageReply): void {
    const waiting = this.#waiting.get(reply.id);
    this.#waiting.delete(reply.id);
    if (this.#waiting.size === 0) this.#worker?.unref();
    if ("answer" in reply) waiting?.resolve(reply.answer);
    else waiting?.reject(new EmbershardError(reply.code, reply.message, { cause: reply.cause }));
  }

  // The thread is gone, by `close` or against all expectation.
  #abandon(worker: Worker, cause: unknown): void {
    if (this.#worker === worker) this.#worker = undefined;
    for (const { reject } of this.#waiting.values()) {
      reject(new EmbershardError("IO", `the thread of the page store ${this.#directory} ended`, { cause }));
    }
    this.#waiting.clear();
  }
}
