import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { lineChart } from "../../examples/plot/line-chart.js";
import { movesBetween, slotsByNode } from "../../lib/ring/moves.js";
import { firstMap, nextMap } from "../../lib/ring/placement.js";
import { Ring } from "../../lib/ring/virtual-nodes.js";
import { type Figure, once, shown } from "../figure.js";
import type { Suite } from "../suite.js";

const SLOTS = 16_384;
const NODES = [1, 2, 3, 5, 10, 20, 50, 100, 200, 500, 1000];
const POINTS = [64, 256, 1024, 4096];
const REPORTED = [10, 100, 1000];
const QUOTAS = "quotas";
/** The plain ring that quotas are held against in the report. */
const PEER = "plain ring, 256 points";

/** What a way to place slots does with nodes of equal weight. */
interface Outcome {
  /** Keys of the fullest node over the mean. */
  readonly imbalance: number;
  /** Part of the keys that move when one more node joins. */
  readonly moved: number;
}

/** Nothing is timed: the figures are the same on every machine. */
export const ring: Suite = {
  name: "ring",
  about: "imbalance, and keys that move at a join: quotas, plain rings, modulo",
  async run({ options: { quick, plot } }) {
    const most = quick ? 100 : 1000;
    const points = quick ? POINTS.slice(0, 2) : POINTS;
    const ways = new Map<string, (nodes: number) => Outcome>([
      ...points.map((n) => [`plain ring, ${n} points`, (nodes: number) => plainRing(nodes, n)] as const),
      ["modulo", modulo],
      // Last, so that it is drawn over the others.
      [QUOTAS, quotas],
    ]);
    const outcomes = new Map<string, readonly (readonly [number, Outcome])[]>();
    const sizes = NODES.filter((nodes) => nodes <= most);
    for (const [name, way] of ways)
      outcomes.set(
        name,
        sizes.map((nodes) => [nodes, way(nodes)]),
      );
    if (plot !== undefined) plotAll(plot, outcomes);
    return REPORTED.filter((nodes) => nodes <= most).flatMap((nodes) => figuresOf(nodes, outcomes));
  },
};

const named = (nodes: number) => Array.from({ length: nodes }, (_, i) => ({ name: `node-${i}` }));

function quotas(nodes: number): Outcome {
  const before = firstMap(named(nodes));
  const after = nextMap(before, named(nodes + 1));
  const moved = movesBetween(before, after).reduce((sum, { slots }) => sum + slots, 0);
  return { imbalance: imbalanceOf([...slotsByNode(before).values()]), moved: moved / SLOTS };
}

/**
 * Without slots: a node has the keys from the point before each of its own to that point. The ring without the node that
 * joins is the ring with it passed over.
 */
function plainRing(nodes: number, points: number): Outcome {
  const { memberOf, placeOf, members } = new Ring(named(nodes + 1), {
    slots: 2,
    points,
    mostPoints: 2 ** 24,
  });
  const joining = members.findIndex(({ name }) => name === `node-${nodes}`);
  const keys = new Array<number>(nodes + 1).fill(0);
  let moved = 0;
  let passed = 0;
  for (const [i, member] of memberOf.entries()) {
    const arc = i === 0 ? placeOf[0] + 2 ** 32 - placeOf[placeOf.length - 1] : placeOf[i] - placeOf[i - 1];
    passed += arc;
    if (member === joining) moved += arc;
    else {
      keys[member] += passed;
      passed = 0;
    }
  }
  // What is left belongs to the first point of another node.
  keys[memberOf.find((member) => member !== joining)!] += passed;
  return { imbalance: (Math.max(...keys) * nodes) / 2 ** 32, moved: moved / 2 ** 32 };
}

function modulo(nodes: number): Outcome {
  const counts = new Array<number>(nodes).fill(0);
  let moved = 0;
  for (let slot = 0; slot < SLOTS; slot++) {
    counts[slot % nodes]++;
    if (slot % nodes !== slot % (nodes + 1)) moved++;
  }
  return { imbalance: imbalanceOf(counts), moved: moved / SLOTS };
}

function imbalanceOf(counts: readonly number[]): number {
  return (Math.max(...counts) * counts.length) / SLOTS;
}

function figuresOf(
  nodes: number,
  outcomes: ReadonlyMap<string, readonly (readonly [number, Outcome])[]>,
): Figure[] {
  const outcomeOf = (name: string) => outcomes.get(name)!.find(([size]) => size === nodes)![1];
  const [own, peer] = [outcomeOf(QUOTAS), outcomeOf(PEER)];
  return [
    shown(`ring-fullest-of-${nodes}`, once(100 * own.imbalance, 100 * peer.imbalance), {
      unit: "% of the mean",
      better: "lower",
      peerName: PEER,
    }),
    shown(`ring-moved-to-${nodes + 1}`, once(100 * own.moved, 100 / (nodes + 1)), {
      unit: "% of keys",
      better: "lower",
      peerName: "least possible",
    }),
  ];
}

function plotAll(
  directory: string,
  outcomes: ReadonlyMap<string, readonly (readonly [number, Outcome])[]>,
): void {
  mkdirSync(directory, { recursive: true });
  const write = (name: string, title: string, label: string, value: (outcome: Outcome) => number) => {
    const svg = lineChart({
      title,
      x: { label: "nodes", log: true },
      y: { label, log: true },
      series: [...outcomes].map(([way, points]) => ({
        name: way,
        points: points.map(([nodes, outcome]) => [nodes, value(outcome)] as const),
      })),
    });
    writeFileSync(join(directory, name), svg);
  };
  write(
    "ring-imbalance.svg",
    "Keys of the fullest node over the mean, nodes of equal weight",
    "fullest node / mean",
    ({ imbalance }) => imbalance,
  );
  write("ring-moved.svg", "Keys that move when one node joins", "part of the keys", ({ moved }) => moved);
}
