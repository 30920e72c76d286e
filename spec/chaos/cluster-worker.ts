// A worker of the cluster's chaos: pushes until it is told to end, or killed. Says in its journal what it sends, what is
// acknowledged, and, at its beginning, what it finds: those of its last life's pushes that nobody knows the fate of.
import { appendFileSync } from "node:fs";
import { connect, type Store, type Table } from "../../lib/index.js";
import { ownName, ownOptions, pushAt, sharedName, sharedOptions } from "./cluster-pushes.js";

export interface ClusterWorkerPlan {
  readonly address: string;
  readonly journal: string;
  readonly seed: number;
  readonly worker: number;
  /** Rises with each life. */
  readonly session: number;
  /** The number of the first push. */
  readonly from: number;
  /** Pushes that are under way at once, at most. */
  readonly window: number;
}

/** What a worker finds when it begins: of its own rows the last push, of the shared ones how many were its. */
export interface Finding {
  readonly last: readonly (readonly [key: string, push: number])[];
  readonly shared: readonly (readonly [key: string, pushes: number])[];
}

async function live(plan: ClusterWorkerPlan): Promise<void> {
  const { address, journal, seed, worker, session, window } = plan;
  const note = (line: string) => appendFileSync(journal, `${line}\n`);
  const store = await connect(address, {
    worker: `worker ${worker}`,
    session: BigInt(session),
    deadlineMs: 120_000,
  });
  const own = await store.table(ownName(worker), ownOptions);
  const shared = await store.table(sharedName, sharedOptions);
  note(`f${JSON.stringify(await found(own, shared, worker))}`);
  let ending = false;
  process.once("message", () => {
    ending = true;
  });
  const underWay = new Set<Promise<void>>();
  for (let i = plan.from; !ending; i++) {
    note(`s${i}`);
    const done = push(store, { own, shared }, pushAt(seed, worker, i), i).then(() => {
      note(`a${i}`);
      process.send!(i);
      underWay.delete(done);
    });
    underWay.add(done);
    // In any case a turn for what comes in.
    await new Promise((resolve) => setImmediate(resolve));
    while (underWay.size >= window) await Promise.race(underWay);
  }
  await Promise.all(underWay);
  await store.close();
  process.disconnect();
}

async function push(
  store: Store,
  { own, shared }: { own: Table; shared: Table },
  { ownKeys, ownGradients, sharedKeys, sharedGradients }: ReturnType<typeof pushAt>,
  step: number,
): Promise<void> {
  const parts = [
    { table: own, keys: ownKeys, gradients: ownGradients },
    { table: shared, keys: sharedKeys, gradients: sharedGradients },
  ];
  await store.push(parts, { step });
}

async function found(own: Table, shared: Table, worker: number): Promise<Finding> {
  const last: [string, number][] = [];
  const counts: [string, number][] = [];
  for await (const { keys, lastStep } of own.scan())
    for (const [i, key] of keys.entries()) last.push([`${key}`, lastStep[i]]);
  for await (const { keys, rows } of shared.scan())
    for (const [i, key] of keys.entries()) counts.push([`${key}`, -rows[i * shared.dim + worker]]);
  return { last, shared: counts };
}

process.on("disconnect", () => process.exit());
await live(JSON.parse(process.argv[2]) as ClusterWorkerPlan);
