// Seeds told by several threads at once.
import { availableParallelism } from "node:os";
import { isMainThread, parentPort, Worker } from "node:worker_threads";
import { FaultLife } from "../shard/fault-life.js";
import { everything } from "../shard/sabotages.js";
import { reportOf } from "./lives.js";
import { simulate } from "./simulation.js";

/** What a seed tells the story of. */
export type Kind = "cluster" | "store";

/** One story. */
export interface Job {
  readonly seed: number;
  readonly kind: Kind;
}

/** What came of one; `failure` is a report. */
export interface JobOutcome extends Job {
  readonly failure: string | undefined;
}

/** Tells a story of a cluster, or six lives of a store on failing disks. */
async function tell({ seed, kind }: Job): Promise<JobOutcome> {
  if (kind === "cluster") {
    const { violation } = await simulate({ seed });
    return { seed, kind, failure: violation && (await reportOf({ seed }, violation)) };
  }
  const life = new FaultLife({
    seed,
    operations: 120,
    sabotage: everything,
    ends: ["kill", "crash", "close"],
  });
  try {
    for (let lives = 0; lives < 6; lives++) await life.live();
    return { seed, kind, failure: undefined };
  } catch (error) {
    const again = `again: npm run sim -- --seed ${seed} --kind store`;
    return { seed, kind, failure: `seed ${seed}: ${(error as Error).stack}\n${again}` };
  }
}

/** Tells stories, as many at once as there are processors; `told` of each. Ends after the first that fails. */
export async function runJobs(jobs: Iterable<Job>, told: (outcome: JobOutcome) => void): Promise<void> {
  const left = jobs[Symbol.iterator]();
  let failed = false;
  const work = async () => {
    const thread = new Worker(new URL(import.meta.url));
    try {
      while (!failed) {
        const next = left.next();
        if (next.done) return;
        const outcome = await answerOf(thread, next.value);
        failed ||= outcome.failure !== undefined;
        told(outcome);
      }
    } finally {
      await thread.terminate();
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() }, work));
}

function answerOf(thread: Worker, job: Job): Promise<JobOutcome> {
  return new Promise((resolve, reject) => {
    thread.once("message", (outcome: JobOutcome) => {
      thread.off("error", reject);
      resolve(outcome);
    });
    thread.once("error", reject);
    thread.postMessage(job);
  });
}

if (!isMainThread)
  parentPort!.on("message", (job: Job) => void tell(job).then((told) => parentPort!.postMessage(told)));
