// A life of a shard that workers push to: frames come again, cut otherwise, before those of other slots, and after the
// shard was killed. Every gradient is a whole number, so what a row must be is a plain sum.
import * as assert from "uvu/assert";
import { zeros } from "../../lib/api/initializers.js";
import { Prng } from "../../lib/base/prng.js";
import { EmbershardError, type ErrorCode, sgd } from "../../lib/index.js";
import { hashKey } from "../../lib/kernel/oracle/hash.js";
import type { PushOrigin } from "../../lib/shard/sequences.js";
import type { Shard } from "../../lib/shard/shard.js";
import { scanAll } from "../laws/oracle-of.js";
import { FaultyMachine, type OpenedStore } from "./fault-fixture.js";

const slots = 16_384;
const keyCount = 300;
const tableNames = ["a", "b"] as const;

interface Part {
  readonly keys: BigUint64Array;
  readonly slots: Uint16Array;
  readonly gradients: Float32Array;
  readonly counts: Uint32Array;
}

interface Push {
  readonly sequence: bigint;
  readonly parts: readonly Part[];
  /** Slots of which a frame was acknowledged. */
  readonly acknowledged: Uint8Array;
}

interface Worker {
  readonly name: string;
  number: number;
  session: bigint;
  sequence: bigint;
  /** Pushes of the session, oldest first; frames of any of them may come. */
  pushes: Push[];
  /** The state that its last frame made which did anything. */
  state: number;
}

/** What must be after a number of frames that were applied: sums and occurrences by table and key, sequences by worker. */
interface State {
  readonly sums: readonly Float64Array[];
  readonly frequencies: readonly Float64Array[];
  readonly sequences: ReadonlyMap<string, { session: bigint; highest: Float64Array }>;
}

export class SequenceLife {
  readonly #random: Prng;
  readonly #machine: FaultyMachine;
  readonly #workers: Worker[] = [];
  #opened!: OpenedStore;
  #states: State[] = [];
  #acknowledged = 0;
  #life = 0;
  #pending: Promise<void>[] = [];
  /** What happened, for tests that demand that everything did. */
  readonly seen = { applied: 0, repeated: 0, partly: 0, lost: 0, fenced: 0 };

  constructor(seed: number) {
    this.#random = new Prng(seed);
    this.#machine = new FaultyMachine(seed);
  }

  async begin(workers: number): Promise<void> {
    await this.#open();
    for (const name of tableNames) {
      const initializer = zeros();
      await this.#opened.store.table(name, { dim: 1, optimizer: sgd({ learningRate: 1 }), initializer });
    }
    this.#states = [
      {
        sums: tableNames.map(() => new Float64Array(keyCount)),
        frequencies: tableNames.map(() => new Float64Array(keyCount)),
        sequences: new Map(),
      },
    ];
    for (let i = 0; i < workers; i++) {
      const worker = { name: `worker ${i}`, number: 0, session: 0n, sequence: 0n, pushes: [], state: 0 };
      this.#workers.push(worker);
      await this.#restart(worker);
    }
  }

  async act(): Promise<void> {
    const random = this.#random;
    const worker = this.#workers[random.below(this.#workers.length)];
    const kind = random.below(100);
    if (kind < 80) return this.#frame(worker);
    if (kind < 90) return this.#begin(worker);
    if (kind < 93) return this.#restart(worker);
    if (kind < 95) return void (await this.#opened.store.checkpoint());
    if (kind < 97) return this.#reopen();
    return this.#kill();
  }

  /** Sends all that is left, and compares with plain sums. */
  async end(): Promise<void> {
    for (const worker of this.#workers)
      for (const push of worker.pushes) await this.#send(worker, push, 0, slots - 1, true);
    await this.#reopen();
    await this.#opened.store.close();
  }

  /** A disk that takes its time: what is pushed meanwhile is lost when the process ends. */
  async #open(): Promise<void> {
    this.#opened = await this.#machine.open();
    const life = this.#life;
    this.#machine.files.schedule = async () => {
      for (let n = this.#random.below(6); n > 0 && life === this.#life; n--)
        await new Promise((resolve) => setImmediate(resolve));
    };
  }

  get #now(): State {
    return this.#states[this.#states.length - 1];
  }

  get #shard(): Shard {
    return this.#opened.shard;
  }

  #begin(worker: Worker): void {
    const random = this.#random;
    worker.sequence += BigInt(1 + random.below(3));
    const parts = tableNames.map((name): Part => {
      const n = random.below(40);
      const keys = BigUint64Array.from({ length: n }, () => BigInt(random.below(keyCount)));
      const placement = this.#shard.tables.get(name)!.placement;
      return {
        keys,
        slots: Uint16Array.from(keys, (key) => Number(hashKey(key, placement) >> 50n)),
        gradients: Float32Array.from(keys, () => random.below(9) - 4),
        counts: Uint32Array.from(keys, () => 1 + random.below(3)),
      };
    });
    worker.pushes.push({ sequence: worker.sequence, parts, acknowledged: new Uint8Array(slots) });
    if (worker.pushes.length > 6) worker.pushes.shift();
  }

  async #restart(worker: Worker): Promise<void> {
    const before = { ...worker };
    worker.session += BigInt(1 + this.#random.below(5));
    worker.sequence = 0n;
    worker.pushes = [];
    await this.#settle();
    const { number, known } = await this.#shard.workers.register(worker.name, worker.session, false);
    assert.is(known, false);
    if (before.number !== 0) assert.is(number, before.number, "a worker keeps its number");
    worker.number = number;
    const sequences = new Map(this.#now.sequences);
    sequences.set(worker.name, { session: worker.session, highest: new Float64Array(slots) });
    // Its record is durable, and all before it.
    this.#states.push({ ...this.#now, sequences });
    this.#acknowledged = this.#states.length - 1;
    worker.state = this.#acknowledged;
    if (before.pushes.length === 0) return;
    assert.is(await this.#outcomeOf(before, before.pushes[0], 0, slots - 1), "FENCED");
    this.seen.fenced++;
  }

  async #outcomeOf(worker: Worker, push: Push, first: number, last: number): Promise<ErrorCode | "done"> {
    try {
      await this.#shard.write(this.#writes(push, first, last), this.#request(worker, push, first, last));
      return "done";
    } catch (error) {
      if (error instanceof EmbershardError) return error.code;
      throw error;
    }
  }

  #writes({ parts }: Push, first: number, last: number) {
    return tableNames.map((name, t) => {
      const table = this.#shard.tables.get(name)!;
      const { keys, gradients, counts, slots } = parts[t];
      const here = [...keys.keys()].filter((i) => slots[i] >= first && slots[i] <= last);
      return {
        table,
        kind: "push" as const,
        keys: BigUint64Array.from(here, (i) => keys[i]),
        values: Float32Array.from(here, (i) => gradients[i]),
        counts: Uint32Array.from(here, (i) => counts[i]),
        learningRate: 1,
      };
    });
  }

  #request({ number, session }: Worker, { sequence }: Push, first: number, last: number) {
    const origin: PushOrigin = { worker: number, session, sequence, clock: sequence, first, last };
    const mark = new Uint8Array(Float64Array.of(this.#states.length).buffer);
    return { ack: "os" as const, step: 1, mark, origin };
  }

  /** Sends a frame of one of a worker's pushes: any range, but not before the pushes before it have been there. */
  async #frame(worker: Worker): Promise<void> {
    if (worker.pushes.length === 0) return this.#begin(worker);
    const at = this.#random.below(worker.pushes.length);
    const push = worker.pushes[at];
    const { highest } = this.#now.sequences.get(worker.name)!;
    const first = this.#random.below(slots);
    let last = Math.min(slots - 1, first + this.#random.below(this.#random.below(4) === 0 ? slots : 4000));
    for (const before of worker.pushes.slice(0, at))
      for (let slot = first; slot <= last; slot++)
        if (highest[slot] < Number(before.sequence)) last = slot - 1;
    if (last >= first) await this.#send(worker, push, first, last, this.#random.below(3) === 0);
  }

  async #send(worker: Worker, push: Push, first: number, last: number, wait: boolean): Promise<void> {
    // What waits in the line would be applied later than this life knows.
    const writes = this.#writes(push, first, last);
    const request = this.#request(worker, push, first, last);
    const now = this.#shard.tryWriteNow(writes, request);
    const state = this.#states.length;
    const whole = this.#apply(worker, push, first, last);
    if (now) assert.is(now.repeated, whole === "repeated", "a frame that came before is known");
    const done = now ? (now.settled ?? Promise.resolve()) : this.#shard.write(writes, request);
    this.seen[whole]++;
    if (whole !== "repeated") worker.state = state;
    const reached = worker.state;
    const life = this.#life;
    const acknowledged = done.then(() => {
      if (life !== this.#life) return;
      push.acknowledged.fill(1, first, last + 1);
      this.#acknowledged = Math.max(this.#acknowledged, reached);
    });
    this.#pending.push(acknowledged);
    if (wait) await acknowledged;
  }

  /** What a frame must do: only slots that have not had its sequence change. */
  #apply(worker: Worker, push: Push, first: number, last: number): "applied" | "repeated" | "partly" {
    const { sums, frequencies, sequences } = this.#now;
    const { session, highest } = sequences.get(worker.name)!;
    const sequence = Number(push.sequence);
    const fresh = (slot: number) => slot >= first && slot <= last && highest[slot] < sequence;
    let count = 0;
    for (let slot = first; slot <= last; slot++) if (fresh(slot)) count++;
    if (count === 0) return "repeated";
    const state = {
      sums: sums.map((one) => one.slice()),
      frequencies: frequencies.map((one) => one.slice()),
      sequences: new Map(sequences),
    };
    for (const [t, { keys, slots: at, gradients, counts }] of push.parts.entries())
      for (const [i, key] of keys.entries()) {
        if (!fresh(at[i])) continue;
        state.sums[t][Number(key)] -= gradients[i];
        state.frequencies[t][Number(key)] += counts[i];
      }
    const raised = highest.map((had, slot) => (fresh(slot) ? sequence : had));
    state.sequences.set(worker.name, { session, highest: raised });
    this.#states.push(state);
    return count === last - first + 1 ? "applied" : "partly";
  }

  async #settle(): Promise<void> {
    await Promise.all(this.#pending);
    this.#pending = [];
  }

  async #reopen(): Promise<void> {
    await this.#settle();
    await this.#opened.store.close();
    await this.#open();
    this.#acknowledged = this.#states.length - 1;
    await this.#recover();
  }

  async #kill(): Promise<void> {
    this.#machine.kill();
    this.#life++;
    this.#pending = [];
    await this.#open();
    await this.#recover();
  }

  /** Finds out which state was recovered, and goes on from it. */
  async #recover(): Promise<void> {
    const errors: string[] = [];
    for (let k = this.#states.length - 1; k >= this.#acknowledged; k--) {
      const difference = await this.#difference(this.#states[k]);
      if (difference === undefined) {
        this.seen.lost += this.#states.length - 1 - k;
        this.#states = [this.#states[k]];
        this.#acknowledged = 0;
        for (const worker of this.#workers) worker.state = 0;
        await this.#resume();
        return;
      }
      errors.push(`after ${k}: ${difference}`);
    }
    throw new Error(
      `what was recovered is no prefix, acknowledged ${this.#acknowledged}:\n${errors.join("\n")}`,
    );
  }

  async #resume(): Promise<void> {
    for (const { name, session, number } of this.#workers)
      assert.equal(await this.#shard.workers.register(name, session, true), { number, known: true });
  }

  async #difference({ sums, frequencies, sequences }: State): Promise<string | undefined> {
    for (const [t, name] of tableNames.entries()) {
      const rows = await scanAll(await this.#opened.store.table(name));
      for (let key = 0; key < keyCount; key++) {
        const row = rows.get(BigInt(key));
        const found = `${(row?.weights[0] ?? 0) + 0} in ${row?.frequency ?? 0}`;
        const expected = `${sums[t][key] + 0} in ${frequencies[t][key]}`;
        if (found !== expected) return `key ${key} of ${name} is ${found}, expected ${expected}`;
      }
    }
    const known = new Map([...this.#shard.workers.known.values()].map((one) => [one.name, one]));
    if (known.size !== sequences.size) return `${known.size} workers, expected ${sequences.size}`;
    for (const [name, { session, highest }] of sequences) {
      const worker = known.get(name);
      if (worker?.session !== session) return `${name} has session ${worker?.session}, expected ${session}`;
      const found = new Float64Array(slots);
      for (const [first, last, sequence] of worker.slots.notes())
        found.fill(Number(sequence), first, last + 1);
      const slot = found.findIndex((one, i) => one !== highest[i]);
      if (slot >= 0) return `${name}: slot ${slot} has had ${found[slot]}, expected ${highest[slot]}`;
      const clock = highest.reduce((most, one) => Math.max(most, one), 0);
      if (Number(worker.clock ?? 0n) !== clock) return `${name} has clock ${worker.clock}, expected ${clock}`;
    }
    return undefined;
  }
}
