import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lineChart } from "../../examples/plot/line-chart.js";
import { type Figure, once, shown, target } from "../figure.js";
import { median, type Rates, race, ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { Distribution } from "../subjects/keys.js";
import type { Suite, SuiteContext } from "../suite.js";
import { startStore } from "./rows-subjects.js";

/** What the whole table would take in memory, over the memory it may take. */
const TIMES = [4, 2, 8, 16];
const DIM = 64;
const LEAST_ROWS = 20_000;
/** The least limit that a table can be given. */
const LEAST_MEMORY = 2 ** 20;
const WHOLE = "all in memory";
const DISTRIBUTIONS: readonly Distribution[] = ["zipf", "uniform"];

/** A table with a limit of memory. */
interface Limited {
  readonly times: number;
  readonly store: Subject;
}

/** What was seen of one table under one distribution. */
interface Seen {
  readonly rates: Rates;
  /** The part of the keys, equal ones counted each, whose rows were in memory. */
  readonly hitRate: number;
}

export const cold: Suite = {
  name: "cold",
  about: "pulling from tables of 2 to 16 times their memory, against the same table all in memory",
  async run(context) {
    const rows = Math.max(LEAST_ROWS, Math.floor(context.options.rows / 4));
    const size = { rows, batch: Math.min(context.options.batch, rows >> 4) };
    const whole = await start(context, WHOLE, size);
    const { bytes } = await whole.ask("cold");
    const limited: Limited[] = [];
    for (const times of TIMES) {
      const memory = Math.floor(Number(bytes) / times);
      if (memory < LEAST_MEMORY) continue;
      limited.push({ times, store: await start(context, `${times} times its memory`, size, memory) });
    }
    const figures = limited.slice(0, 1).map(({ store, times }) => creationOf(whole, store, times));
    const points = new Map<Distribution, { rate: number; times: number; hitRate: number }[]>();
    for (const distribution of DISTRIBUTIONS) {
      const seen = await visit(context, [whole, ...limited.map(({ store }) => store)], distribution);
      const peer = seen.get(WHOLE)!;
      figures.push(
        ...limited.map(({ times, store }) => figureOf(distribution, times, seen.get(store.name)!, peer)),
      );
      const found = limited.map(({ times, store }) => ({ times, ...seen.get(store.name)! }));
      points.set(
        distribution,
        [{ times: 1, ...peer }, ...found]
          .sort((a, b) => a.times - b.times)
          .map(({ times, hitRate, rates }) => ({ times, hitRate, rate: median(rates) })),
      );
    }
    await Promise.all([whole, ...limited.map(({ store }) => store)].map((subject) => subject.stop()));
    if (context.options.plot !== undefined) plot(context.options.plot, points, size);
    return figures;
  },
};

/** A logged table that was filled and then pushed to as Zipf has it, so that frequencies tell which rows to keep. */
async function start(
  context: SuiteContext,
  name: string,
  size: { rows: number; batch: number },
  memory?: number,
): Promise<Subject> {
  const store = await startStore(context, name, {
    ...size,
    dim: DIM,
    level: "os",
    stored: { optimizer: "rowWiseAdagrad", ...(memory !== undefined && { memory }) },
  });
  await store.ask("train", Math.ceil(size.rows / size.batch));
  return store;
}

async function visit(
  { options: { rounds, roundMs } }: SuiteContext,
  stores: readonly Subject[],
  distribution: Distribution,
): Promise<Map<string, Seen>> {
  const before = await Promise.all(stores.map((store) => store.ask("cold")));
  const found = await race(stores, ["pull", distribution, roundMs], Math.min(rounds, 5));
  const after = await Promise.all(stores.map((store) => store.ask("cold")));
  return new Map(
    stores.map(({ name }, i) => {
      const hits = Number(after[i].hits) - Number(before[i].hits);
      const misses = Number(after[i].misses) - Number(before[i].misses);
      return [name, { rates: found.get(name)!, hitRate: hits + misses > 0 ? hits / (hits + misses) : 1 }];
    }),
  );
}

function figureOf(distribution: Distribution, times: number, seen: Seen, peer: Seen): Figure {
  const ratio = ratioOf(seen.rates, peer.rates);
  const details = {
    peerName: WHOLE,
    note: `${distribution} keys, the table ${times} times its memory: ${percent(seen.hitRate)} of the keys in memory`,
  };
  if (times === 4 && distribution === "zipf") return target("pull-cold-64", ratio, details);
  const suffix = distribution === "zipf" ? "" : `-${distribution}`;
  return shown(`pull-cold-64-${times}x${suffix}`, ratio, { unit: "rows/s", ...details });
}

/** Filling an empty table, whose rows leave for the disk meanwhile. */
function creationOf(whole: Subject, store: Subject, times: number): Figure {
  const rate = ({ ready }: Subject) => (Number(ready.rows) / Number(ready.fillNs)) * 1e9;
  return shown("creation-cold-64", once(rate(store), rate(whole)), {
    unit: "rows/s",
    peerName: WHOLE,
    note: `an empty table is filled with rows of ${times} times its memory, level os`,
  });
}

function percent(part: number): string {
  return `${(100 * part).toFixed(0)} %`;
}

function plot(
  directory: string,
  points: ReadonlyMap<Distribution, readonly { rate: number; times: number; hitRate: number }[]>,
  { rows, batch }: { rows: number; batch: number },
): void {
  mkdirSync(directory, { recursive: true });
  const svg = lineChart({
    title: `Rows per second beyond memory (${rows.toLocaleString("en")} rows, dim ${DIM}, batch ${batch.toLocaleString("en")})`,
    x: { label: "table size / memory; beside the points: keys whose rows are in memory", log: true },
    y: { label: "pulled rows/s", log: true },
    series: [...points].map(([name, found]) => ({
      name,
      points: found.map(({ times, rate }) => [times, rate] as const),
      labels: found.map(({ hitRate }) => percent(hitRate)),
    })),
  });
  writeFileSync(join(directory, "cold.svg"), svg);
}
