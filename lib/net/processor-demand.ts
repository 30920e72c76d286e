// Whether the machine has a processor to spare.
import { closeSync, openSync, readSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Linux: three averages, then "running/all" threads at this instant. To read it takes a microsecond. */
const loadFile = "/proc/loadavg";
/** Time between two looks. */
const everyMs = 0.5;
/** Looks that an estimate remembers, about. */
const remembered = 128;
/** The share of looks at which more threads wanted to run than there are processors, from which there are too few. */
const tooOften = 0.3;

/** Threads that want to run, of all processes of the machine, against its processors. */
export class ProcessorDemand {
  readonly #file: number;
  readonly #processors: number;
  readonly #text = Buffer.alloc(128);
  #lookedAt = Number.NEGATIVE_INFINITY;
  #crowded = 0;

  private constructor(file: number, processors: number) {
    this.#file = file;
    this.#processors = processors;
  }

  /** `undefined` where the system does not say. */
  static open(path = loadFile, processors = availableParallelism()): ProcessorDemand | undefined {
    let file: number;
    try {
      file = openSync(path, "r");
    } catch {
      return undefined;
    }
    const demand = new ProcessorDemand(file, processors);
    if (demand.#running() > 0) return demand;
    demand.close();
    return undefined;
  }

  /** Whether, of late, threads have had to wait for a processor. Looks from time to time: call it often. `nowMs` is `Clock.elapsed`. */
  crowded(nowMs: number): boolean {
    if (nowMs - this.#lookedAt >= everyMs) {
      this.#lookedAt = nowMs;
      const is = this.#running() > this.#processors ? 1 : 0;
      this.#crowded += (is - this.#crowded) / remembered;
    }
    return this.#crowded >= tooOften;
  }

  close(): void {
    closeSync(this.#file);
  }

  /** Threads that run or could, this one among them; 0 where that is not told. */
  #running(): number {
    const length = readSync(this.#file, this.#text, 0, this.#text.length, 0);
    const found = /(\d+)\/\d+/.exec(this.#text.toString("latin1", 0, length));
    return found ? Number(found[1]) : 0;
  }
}
