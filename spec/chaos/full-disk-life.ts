// The child of full-disk.spec.ts: works on a store while its parent fills the disk and makes room again.
// Says a line on its standard output at each stage, and waits for one on its standard input where it says "fill".
import { appendFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { EmbershardError, openStore, type Store } from "../../lib/index.js";
import { isMarked, isUnlogged, operationAt, type Scale } from "./operations.js";
import { Performer } from "./performer.js";

export interface FullDiskPlan {
  readonly directory: string;
  readonly journal: string;
  readonly seed: number;
  readonly scale: Scale;
}

class FullDiskLife {
  readonly #plan: FullDiskPlan;
  readonly #lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  readonly #underWay = new Set<Promise<void>>();
  #store!: Store;
  #performer!: Performer;
  #next = 1;
  #refusedAt = Number.POSITIVE_INFINITY;

  constructor(plan: FullDiskPlan) {
    this.#plan = plan;
  }

  async live(): Promise<void> {
    const policy = {
      control: false,
      hugePages: "off",
      arenaBytes: 32 << 20,
      logBufferBytes: 1 << 20,
      checkpoint: false,
    } as const;
    this.#store = await openStore(this.#plan.directory, policy);
    this.#performer = await Performer.over(this.#store);
    await this.#work(80);
    await this.#store.checkpoint();

    await this.#ask("fill");
    await this.#workUntilReadOnly();
    say("read-only");
    await this.#healed();
    say("healed");

    await this.#work(60);
    await this.#ask("fill");
    say(`checkpoint ${await codeOf(this.#store.checkpoint())}`);
    await this.#healed();
    await this.#store.checkpoint();
    say("healed");

    await this.#work(60);
    await this.#ask("fill");
    await this.#workUntilReadOnly();
    say("read-only");
    await this.#lines.next();
  }

  async #ask(what: string): Promise<void> {
    say(what);
    await this.#lines.next();
  }

  async #work(operations: number): Promise<void> {
    for (let end = this.#next + operations; this.#next < end; ) await this.#issue();
    await Promise.all(this.#underWay);
  }

  async #workUntilReadOnly(): Promise<void> {
    while ((await this.#store.stats()).health === "ok") {
      await this.#issue();
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Begins the next operation; waits where the disk must keep up, and for those that have no mark. */
  async #issue(): Promise<void> {
    const i = this.#next++;
    const operation = operationAt(this.#plan.seed, i, this.#plan.scale);
    this.#note(`s${i}`);
    const logged = !isUnlogged(operation) && !("ack" in operation && operation.ack === "memory");
    const done = this.#performer.perform(operation, i).then(
      () => {
        if (i > this.#refusedAt)
          throw new Error(`operation ${i} was taken after ${this.#refusedAt} was refused`);
        if (logged) this.#note(`a${i}`);
      },
      (error: EmbershardError) => {
        if (error.code !== "READ_ONLY") throw error;
        this.#refusedAt = Math.min(this.#refusedAt, i);
      },
    );
    const settled = done.finally(() => this.#underWay.delete(settled));
    this.#underWay.add(settled);
    const enough = isMarked(operation) ? 8 : 1;
    while (this.#underWay.size >= enough && (await this.#store.stats()).health === "ok") {
      await Promise.race([...this.#underWay, new Promise((resolve) => setTimeout(resolve, 20))]);
    }
  }

  /** Waits for the store to go on by itself; then everything that it took is acknowledged, and what it refused comes again. */
  async #healed(): Promise<void> {
    await this.#store.pull([]);
    while ((await this.#store.stats()).health !== "ok")
      await new Promise((resolve) => setTimeout(resolve, 20));
    await Promise.all(this.#underWay);
    this.#next = Math.min(this.#next, this.#refusedAt);
    this.#refusedAt = Number.POSITIVE_INFINITY;
  }

  #note(line: string): void {
    appendFileSync(this.#plan.journal, `${line}\n`);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}

async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return "ok";
  } catch (error) {
    return error instanceof EmbershardError ? `${error.code} ${error.message}` : String(error);
  }
}

if (process.argv[2]?.startsWith("{")) await new FullDiskLife(JSON.parse(process.argv[2])).live();
