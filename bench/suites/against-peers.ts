import { type Figure, type FigureDetails, shown, target } from "../figure.js";
import { startCTable } from "../peers/c-table.js";
import { startPythonTable } from "../peers/python-tables.js";
import { type Rates, race, ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";
import type { TargetName } from "../targets.js";
import { startMap, startStore } from "./rows-subjects.js";

const STORE = "Embershard";
const STORE_HUGE = "Embershard, huge pages";
const C_PLAIN = "C program, plain pages";
const C_HUGE = "C program, huge pages";
/** Below this share of nn.Embedding's forward the C program is not the machine's limit. */
const C_COUNTS_FROM = 0.7;

/** Races pull or push at one dimension against all peers: first on plain pages, then on huge ones. */
export async function raceAgainstPeers(
  context: SuiteContext,
  operation: "pull" | "push",
  dim: 64 | 16,
): Promise<Figure[]> {
  const plain = await racePlain(context, operation, dim);
  return [...plain, ...(await raceHuge(context, operation, dim))];
}

async function racePlain(context: SuiteContext, operation: "pull" | "push", dim: 64 | 16): Promise<Figure[]> {
  const { rows, batch, rounds, roundMs } = context.options;
  const shape = { rows, dim, batch };
  const started = [
    await startStore(context, STORE, { dim }),
    await startCTable(context, { ...shape, pages: "plain" }),
    ...(dim === 64
      ? [
          await startPythonTable(context, "embedding", shape),
          await startPythonTable(context, "fbgemm", shape),
        ]
      : []),
  ].filter((subject): subject is Subject => subject !== undefined);
  const figures: Figure[] = [];
  // What the C program is worth shows in its pull, whichever operation is raced.
  const judged = dim === 64 ? await raceC(started, context) : undefined;
  const uniform = await race(started, [operation, "uniform", roundMs], rounds);
  figures.push(...uniformFigures(operation, dim, uniform, judged));
  const zipf = await race(started, [operation, "zipf", roundMs], Math.ceil(rounds / 2));
  figures.push(...besides(`${operation}-${dim}-zipf`, zipf, STORE));
  await Promise.all(started.map((subject) => subject.stop()));
  figures.push(...(await raceMap(context, operation, dim)));
  return figures;
}

/** The figures that are held to targets, then the other peers beside them. */
function uniformFigures(
  operation: "pull" | "push",
  dim: 64 | 16,
  rates: Map<string, Rates>,
  judged: FigureDetails | undefined,
): Figure[] {
  const own = rates.get(STORE)!;
  const targets: [TargetName, string, FigureDetails][] = [[`${operation}-${dim}`, C_PLAIN, judged ?? {}]];
  if (dim === 64 && operation === "pull") targets.push(["pull-64-over-fbgemm", "FBGEMM", {}]);
  if (dim === 64 && operation === "push") targets.push(["push-64-over-pytorch", "PyTorch", {}]);
  const held = targets.flatMap(([name, peerName, details]) => {
    const peer = rates.get(peerName);
    return peer ? [target(name, ratioOf(own, peer), { ...details, peerName })] : [];
  });
  const heldTo = new Set(held.map(({ peerName }) => peerName));
  const others = new Map([...rates].filter(([name]) => !heldTo.has(name)));
  return [...held, ...besides(`${operation}-${dim}-uniform`, others, STORE)];
}

/** The C program's pull over nn.Embedding's forward, when both are there. */
async function raceC(started: readonly Subject[], context: SuiteContext): Promise<FigureDetails | undefined> {
  const pair = [C_PLAIN, "PyTorch"].map((name) => started.find((subject) => subject.name === name));
  if (pair[0] === undefined || pair[1] === undefined) return undefined;
  const rates = await race([pair[0], pair[1]], ["pull", "uniform", context.options.roundMs], 3);
  const { ratio } = ratioOf(rates.get(C_PLAIN)!, rates.get("PyTorch")!);
  const note = `the C program pulls at ${ratio.toFixed(2)} of nn.Embedding's forward`;
  return {
    note: ratio < C_COUNTS_FROM ? `${note}, less than ${C_COUNTS_FROM}` : note,
    counts: ratio >= C_COUNTS_FROM,
  };
}

async function raceHuge(context: SuiteContext, operation: "pull" | "push", dim: 64 | 16): Promise<Figure[]> {
  const { rows, batch, rounds, roundMs } = context.options;
  const store = await startStore(context, STORE_HUGE, { dim, hugePages: "auto" });
  const c = await startCTable(context, { rows, dim, batch, pages: "huge" });
  const started = c ? [store, c] : [store];
  const rates = await race(started, [operation, "uniform", roundMs], Math.ceil(rounds / 2));
  await Promise.all(started.map((subject) => subject.stop()));
  if (!c)
    return [
      shown(`${operation}-${dim}-huge-pages`, ratioOf(rates.get(STORE_HUGE)!, rates.get(STORE_HUGE)!), {
        unit: "rows/s",
      }),
    ];
  const ratio = ratioOf(rates.get(STORE_HUGE)!, rates.get(C_HUGE)!);
  return [shown(`${operation}-${dim}-huge-pages`, ratio, { unit: "rows/s", peerName: C_HUGE })];
}

/** A Map of millions of arrays takes minutes to fill: it gets a quarter of the rows, and so does the store beside it. */
async function raceMap(context: SuiteContext, operation: "pull" | "push", dim: 64 | 16): Promise<Figure[]> {
  const { rounds, roundMs, batch } = context.options;
  const rows = Math.max(batch, Math.floor(context.options.rows / 4));
  const pair = [await startStore(context, STORE, { dim, rows }), await startMap(context, dim, rows)];
  const rates = await race(pair, [operation, "uniform", roundMs], Math.ceil(rounds / 2));
  await Promise.all(pair.map((subject) => subject.stop()));
  return besides(`${operation}-${dim}-quarter`, rates, STORE);
}

function besides(name: string, rates: Map<string, Rates>, ownName: string): Figure[] {
  const own = rates.get(ownName)!;
  return [...rates]
    .filter(([peerName]) => peerName !== ownName)
    .map(([peerName, peer]) => shown(name, ratioOf(own, peer), { unit: "rows/s", peerName }));
}
