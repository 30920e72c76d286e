// The child of the chaos script: opens a store and works on it until it is killed. What it has begun and what was
// acknowledged it writes to a journal, synchronously and before it goes on, so that the journal outlives it.
import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { openStore } from "../../lib/index.js";
import { isMarked, isUnlogged, operationAt, type Scale } from "./operations.js";
import { Performer } from "./performer.js";

export type Phase = "open" | "push" | "grow" | "delete" | "checkpoint" | "structure";

/** What a life is told, as JSON in its argument. */
export interface LifePlan {
  readonly directory: string;
  readonly journal: string;
  readonly seed: number;
  /** The first operation. */
  readonly from: number;
  readonly scale: Scale;
  /** Operations that may be under way at once. */
  readonly window: number;
  /** It says so on its standard output when it begins the `count`th operation of this phase. */
  readonly signal: { readonly phase: Phase; readonly count: number };
  /** After so many operations it closes the store and ends by itself. */
  readonly operations: number;
}

/** What a life has left behind. */
export interface Journal {
  readonly opened: boolean;
  readonly closed: boolean;
  /** The last operation that it began; 0 when none. */
  readonly sent: number;
  /** The last operation of a level that survives a kill, or of a table's definition, that was acknowledged. */
  readonly acknowledged: number;
  /** The last operation that was applied when a checkpoint began which was acknowledged. */
  readonly checkpointed: number;
  /** The operation of the last version that was acknowledged; 0 when none. */
  readonly version: number;
  /** Why it ended by itself, if it did with an error. */
  readonly failure: string | undefined;
}

export function readJournal(path: string): Journal {
  const lines = readFileSync(path, "utf8").split("\n").slice(0, -1);
  const last = (letter: string) =>
    Math.max(0, ...lines.filter((line) => line[0] === letter).map((line) => Number(line.slice(1))));
  const failure = lines.find((line) => line[0] === "!")?.slice(1);
  return {
    opened: lines.includes("o"),
    closed: lines.includes("x"),
    sent: last("s"),
    acknowledged: last("a"),
    checkpointed: last("c"),
    version: last("v"),
    failure,
  };
}

/** Lives. */
export async function live(plan: LifePlan): Promise<void> {
  const journal = openSync(plan.journal, "a");
  const note = (line: string) => void writeSync(journal, `${line}\n`);
  const counts = new Map<Phase, number>();
  const enter = (phase: Phase) => {
    const count = (counts.get(phase) ?? 0) + 1;
    counts.set(phase, count);
    if (phase === plan.signal.phase && count === plan.signal.count) process.stdout.write("now\n");
  };
  try {
    enter("open");
    const store = await openStore(plan.directory, {
      control: false,
      hugePages: "off",
      arenaBytes: 32 << 20,
      logBufferBytes: 1 << 18,
      checkpoint: { everyMs: 200, everyLogBytes: 1 << 19 },
    });
    note("o");
    const performer = await Performer.over(store);
    const underWay = new Set<Promise<void>>();
    const failures: unknown[] = [];
    for (let i = plan.from; i < plan.from + plan.operations && failures.length === 0; i++) {
      const operation = operationAt(plan.seed, i, plan.scale);
      if (i % 23 === 0) {
        enter("checkpoint");
        // Everything called before has been applied: calls take effect in their order.
        const applied = i - 1;
        await Promise.all(underWay);
        // Every other one is a version, too: three are kept.
        const version = i % 2 === 0 ? { version: `v${i}`, keep: 3 } : {};
        void store.checkpoint(version).then(
          () => note("version" in version ? `c${applied}\nv${i}` : `c${applied}`),
          (error) => failures.push(error),
        );
      }
      enter(phaseOf(operation, plan.scale));
      note(`s${i}`);
      const done = performer.perform(operation, i).then(
        () => {
          // An unlogged table's operation promises nothing; a logged one of level memory has not been waited for.
          if (!isUnlogged(operation) && !("ack" in operation && operation.ack === "memory")) note(`a${i}`);
        },
        (error) => void failures.push(error),
      );
      const settled = done.finally(() => underWay.delete(settled));
      underWay.add(settled);
      if (!isMarked(operation)) await Promise.all(underWay);
      while (underWay.size >= plan.window) await Promise.race(underWay);
    }
    await Promise.all(underWay);
    if (failures.length > 0) throw failures[0];
    await store.close();
    note("x");
  } catch (error) {
    note(`!${((error as Error).stack ?? String(error)).replaceAll("\n", " | ")}`);
  }
  closeSync(journal);
}

function phaseOf(operation: ReturnType<typeof operationAt>, scale: Scale): Phase {
  if (operation.kind === "delete") return "delete";
  if (!isMarked(operation)) return "structure";
  const keys = operation.kind === "push" ? operation.parts[0].keys.length : 0;
  return keys > scale.batch ? "grow" : "push";
}

if (process.argv[2]?.startsWith("{")) await live(JSON.parse(process.argv[2]));
