import { type Figure, type FigureDetails, shown, target } from "../figure.js";
import { startCTable } from "../peers/c-table.js";
import { startPythonTable } from "../peers/python-tables.js";
import { median, type Rates, race, ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";
import type { TargetName } from "../targets.js";
import { startMap, startStore } from "./rows-subjects.js";

const STORE = "Embershard";
const STORE_HUGE = "Embershard, huge pages";
const C_PLAIN = "C program, plain pages";
/** Below this share of nn.Embedding's forward the C program is not the machine's limit. */
const C_COUNTS_FROM = 0.7;

/**
 * Races pull or push at dimensions 64 and 16 against all peers: on plain pages, then on huge ones. What the C program is
 * worth is found out once, at dimension 64.
 */
export async function raceAgainstPeers(context: SuiteContext, operation: "pull" | "push"): Promise<Figure[]> {
  const plain64 = await startPlain(context, 64);
  const judged = await judgeC(plain64, context);
  const figures = await racePlain(context, plain64, operation, 64, judged);
  const plain16 = await startPlain(context, 16);
  figures.push(...(await racePlain(context, plain16, operation, 16, judged)));
  for (const dim of [64, 16] as const) {
    figures.push(...(await raceHuge(context, operation, dim)), ...(await raceMap(context, operation, dim)));
  }
  return figures;
}

async function startPlain(context: SuiteContext, dim: 64 | 16): Promise<Subject[]> {
  const { rows, batch } = context.options;
  const shape = { rows, dim, batch };
  const started = await Promise.all([
    startStore(context, STORE, { dim }),
    startCTable(context, { ...shape, pages: "plain" }),
    ...(dim === 64
      ? [startPythonTable(context, "embedding", shape), startPythonTable(context, "fbgemm", shape)]
      : []),
  ]);
  return started.filter((subject) => subject !== undefined);
}

async function racePlain(
  { options: { rounds, roundMs } }: SuiteContext,
  started: readonly Subject[],
  operation: "pull" | "push",
  dim: 64 | 16,
  judged: FigureDetails,
): Promise<Figure[]> {
  const uniform = await race(started, [operation, "uniform", roundMs], rounds);
  const zipf = await race(started, [operation, "zipf", roundMs], Math.ceil(rounds / 2));
  await Promise.all(started.map((subject) => subject.stop()));
  return [
    ...uniformFigures(operation, dim, uniform, judged),
    ...besides(`${operation}-${dim}-zipf`, zipf, STORE),
  ];
}

/** The figures that are held to targets, then the other peers beside them. */
function uniformFigures(
  operation: "pull" | "push",
  dim: 64 | 16,
  rates: Map<string, Rates>,
  judged: FigureDetails,
): Figure[] {
  const own = rates.get(STORE)!;
  const targets: [TargetName, string, FigureDetails][] = [[`${operation}-${dim}`, C_PLAIN, judged]];
  if (dim === 64 && operation === "pull") targets.push(["pull-64-over-fbgemm", "FBGEMM", {}]);
  if (dim === 64 && operation === "push") targets.push(["push-64-over-pytorch", "PyTorch", {}]);
  const held = targets.flatMap(([name, peerName, details]) => {
    const peer = rates.get(peerName);
    return peer ? [target(name, ratioOf(own, peer), { ...details, peerName })] : [];
  });
  const heldTo = new Set(held.map(({ peerName }) => peerName));
  const others = new Map([...rates].filter(([name]) => !heldTo.has(name)));
  const beside =
    others.size > 1 || held.length === 0 ? besides(`${operation}-${dim}-uniform`, others, STORE) : [];
  return [...held, ...beside];
}

/** Whether the C program is the machine's limit: its pull over nn.Embedding's forward, when both are there. */
async function judgeC(started: readonly Subject[], context: SuiteContext): Promise<FigureDetails> {
  const pair = started.filter(({ name }) => name === C_PLAIN || name === "PyTorch");
  if (pair.length < 2)
    return { note: "without PyTorch it is not known whether the C program is the machine's limit" };
  const rates = await race(pair, ["pull", "uniform", context.options.roundMs], 7);
  const { ratio } = ratioOf(rates.get(C_PLAIN)!, rates.get("PyTorch")!);
  const note = `the C program pulls at ${ratio.toFixed(2)} of nn.Embedding's forward; it counts from ${C_COUNTS_FROM}`;
  return { note, counts: ratio >= C_COUNTS_FROM };
}

async function raceHuge(context: SuiteContext, operation: "pull" | "push", dim: 64 | 16): Promise<Figure[]> {
  const { rows, batch, rounds, roundMs } = context.options;
  const store = await startStore(context, STORE_HUGE, { dim, hugePages: "auto" });
  const c = await startCTable(context, { rows, dim, batch, pages: "huge" });
  const started = c ? [store, c] : [store];
  const rates = await race(started, [operation, "uniform", roundMs], Math.ceil(rounds / 2));
  await Promise.all(started.map((subject) => subject.stop()));
  return besides(`${operation}-${dim}-huge-pages`, rates, STORE_HUGE);
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

/** The store against each other subject; alone, its rate. */
function besides(name: string, rates: Map<string, Rates>, ownName: string): Figure[] {
  const own = rates.get(ownName)!;
  if (rates.size === 1) return [shown(name, median(own), { unit: "rows/s" })];
  return [...rates]
    .filter(([peerName]) => peerName !== ownName)
    .map(([peerName, peer]) => shown(name, ratioOf(own, peer), { unit: "rows/s", peerName }));
}
