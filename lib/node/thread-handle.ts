import { Worker } from "node:worker_threads";
import { EmbershardError } from "../base/errors.js";
import type { SlotMap } from "../ring/slot-map.js";
import type { ShardFigures } from "./shard-figures.js";
import type { FromThread, ThreadStart, ToThread } from "./thread-messages.js";

/** What the owner of a thread is told. */
export interface ThreadOwner {
  rebuilding(shard: number, reason: string): void;
  rebuilt(shard: number, ms: number): void;
  /** The thread is gone, and nobody asked it to go. */
  lost(shard: number, error: EmbershardError): void;
}

/** The main thread's side of a shard's thread. */
export class ThreadHandle {
  readonly shard: number;
  readonly #worker: Worker;
  readonly #owner: ThreadOwner;
  readonly #listening: Promise<{ port: number; store: string; replayed: number }>;
  readonly #gone: Promise<void>;
  #settleListening!: {
    resolve(value: { port: number; store: string; replayed: number }): void;
    reject(error: unknown): void;
  };
  #figures: ((figures: ShardFigures | undefined) => void)[] = [];
  #failure: EmbershardError | undefined;
  #up = false;
  #stopping = false;

  /** Starts a thread that runs `module`. */
  constructor(start: ThreadStart, module: URL, owner: ThreadOwner) {
    this.shard = start.shard;
    this.#owner = owner;
    this.#listening = new Promise((resolve, reject) => {
      this.#settleListening = { resolve, reject };
    });
    this.#listening.catch(() => undefined);
    this.#worker = new Worker(module, {
      workerData: start,
      transferList: start.door ? [start.door] : [],
      name: `embershard-shard-${start.shard}`,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(start.settings.threadHeapBytes / 2 ** 20) },
      // Not those of the process: some, such as --input-type, are for its own script only.
      execArgv: [],
    });
    this.#worker.on("message", (message: FromThread) => this.#hear(message));
    this.#worker.on("error", (cause) => {
      this.#failure ??= new EmbershardError(
        "INTERNAL",
        `the thread of shard ${this.shard} died: ${cause.message}`,
        { cause },
      );
    });
    this.#gone = new Promise((resolve) => {
      this.#worker.on("exit", () => {
        this.#end();
        resolve();
      });
    });
  }

  /** Resolves when the shard is open and listens. @throws what opening and listening throw */
  listening(): Promise<{ port: number; store: string; replayed: number }> {
    return this.#listening;
  }

  tellMap(map: SlotMap): void {
    this.#tell({ tell: "map", map });
  }

  /** How it goes; undefined when the thread is gone. */
  figures(): Promise<ShardFigures | undefined> {
    return new Promise((resolve) => {
      this.#figures.push(resolve);
      if (this.#figures.length === 1) this.#tell({ tell: "figures" });
    });
  }

  /** Ends the thread; resolves when it is gone. @throws what went wrong on the way */
  async stop(how: { drainMs: number; checkpoint: boolean }): Promise<void> {
    this.#stopping = true;
    this.#tell({ tell: "stop", ...how });
    await this.#gone;
    if (this.#failure) throw this.#failure;
  }

  #tell(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #hear(message: FromThread): void {
    switch (message.say) {
      case "listening":
        this.#up = true;
        this.#settleListening.resolve(message);
        return;
      case "rebuilding":
        this.#owner.rebuilding(this.shard, message.reason);
        return;
      case "rebuilt":
        this.#owner.rebuilt(this.shard, message.ms);
        return;
      case "figures":
        for (const resolve of this.#figures.splice(0)) resolve(message.figures);
        return;
      case "failed":
        this.#failure = new EmbershardError(message.code, message.message);
        return;
      case "stopped":
        return;
    }
  }

  #end(): void {
    for (const resolve of this.#figures.splice(0)) resolve(undefined);
    const error =
      this.#failure ?? new EmbershardError("INTERNAL", `the thread of shard ${this.shard} ended by itself`);
    if (!this.#up) this.#settleListening.reject(error);
    else if (!this.#stopping) this.#owner.lost(this.shard, error);
  }
}
