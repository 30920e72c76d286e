import type { Ratio } from "./race.js";
import { TARGETS, type TargetName } from "./targets.js";

/** One measured figure. `must` and `goal` are held against `ratio`, or against `value` where there is no peer. */
export interface Figure {
  readonly name: string;
  readonly value: number;
  readonly unit: string;
  /** The peer's value in the same unit. */
  readonly peer: number | null;
  readonly peerName: string | null;
  /** `value` over `peer`; over rounds, the median of the rounds' ratios. */
  readonly ratio: number | null;
  /** Least and greatest ratio of a round. */
  readonly spread: readonly [number, number] | null;
  readonly better: "higher" | "lower";
  readonly must: number | null;
  readonly goal: number | null;
  /** Why the figure does not count, or what to know about it. */
  readonly note?: string;
  /** False: measured, but not a measurement that must or goal can be held against. */
  readonly counts: boolean;
}

export interface FigureDetails {
  readonly peerName?: string | undefined;
  readonly note?: string | undefined;
  readonly counts?: boolean | undefined;
}

/** A figure of the table that the project is held to. */
export function target(name: TargetName, measured: Ratio | number, details: FigureDetails = {}): Figure {
  const { unit, better, must, goal } = TARGETS[name];
  return { ...shown(name, measured, { unit, better, ...details }), must, goal };
}

/** A figure that is shown beside the others and held to nothing. */
export function shown(
  name: string,
  measured: Ratio | number,
  {
    unit,
    better = "higher",
    peerName,
    note,
    counts = true,
  }: FigureDetails & Pick<Figure, "unit"> & { better?: "higher" | "lower" },
): Figure {
  const parts =
    typeof measured === "number" ? { value: measured, peer: null, ratio: null, spread: null } : measured;
  return {
    name,
    unit,
    better,
    ...parts,
    peerName: peerName ?? null,
    must: null,
    goal: null,
    counts,
    ...(note === undefined ? {} : { note }),
  };
}

/** One value over another that were measured once. */
export function once(value: number, peer: number): Ratio {
  return { value, peer, ratio: value / peer, spread: [value / peer, value / peer] };
}

export type Verdict = "goal met" | "must met" | "short" | "not counted" | "";

export function verdictOf({ value, ratio, better, must, goal, counts }: Figure): Verdict {
  if (must === null) return "";
  if (!counts) return "not counted";
  const measured = ratio ?? value;
  const meets = (bound: number | null) =>
    bound !== null && (better === "higher" ? measured >= bound : measured <= bound);
  if (meets(goal)) return "goal met";
  return meets(must) ? "must met" : "short";
}
