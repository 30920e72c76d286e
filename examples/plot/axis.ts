/** How an axis of a chart is drawn: `log` spaces it by powers of ten, `from` pulls that value into its range. */
export interface AxisOptions {
  /** What is shown and its unit, e.g. `rows/s`. */
  readonly label: string;
  readonly log?: boolean;
  readonly from?: number;
}

/** A range of values with round ends, and where its ticks lie. */
export interface Axis {
  readonly ticks: readonly number[];
  /** Where a value lies on the axis: 0 at its low end, 1 at its high end. NaN when it cannot be drawn. */
  place(value: number): number;
  /** A tick's text, e.g. `2.5 M`. */
  text(value: number): string;
}

/** The axis that shows all of `values`; those that cannot be drawn (not finite, or not positive on a log axis) are left out. */
export function axisOf(values: readonly number[], { log = false, from }: AxisOptions): Axis {
  const drawable = [...values, ...(from === undefined ? [] : [from])].filter(
    (v) => Number.isFinite(v) && (!log || v > 0),
  );
  const low = drawable.reduce((a, b) => Math.min(a, b), Number.POSITIVE_INFINITY);
  const high = drawable.reduce((a, b) => Math.max(a, b), Number.NEGATIVE_INFINITY);
  if (drawable.length === 0) return log ? logAxis(1, 10) : linearAxis(0, 1);
  return log ? logAxis(low, high) : linearAxis(low, high);
}

function linearAxis(low: number, high: number): Axis {
  const width = high - low || Math.abs(high) || 1;
  const step = roundStep(width / 5);
  const first = Math.floor(low / step + 1e-9);
  const last = Math.max(Math.ceil(high / step - 1e-9), first + 1);
  const ticks = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
  const start = first * step;
  const span = (last - first) * step;
  return { ticks, place: (value) => (value - start) / span, text: (value) => shortNumber(value, step) };
}

function logAxis(low: number, high: number): Axis {
  const start = Math.log10(low) - 0.02;
  const end = Math.max(Math.log10(high), Math.log10(low) + 0.3) + 0.02;
  const multiples = end - start < 1.2 ? [1, 2, 3, 5, 7] : end - start < 3 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil((end - start) / 8));
  const ticks: number[] = [];
  for (let power = Math.floor(start); power <= end; power += stride) {
    for (const multiple of multiples) {
      const at = power + Math.log10(multiple);
      if (at >= start && at <= end) ticks.push(multiple * 10 ** power);
    }
  }
  return {
    ticks,
    place: (value) => (value > 0 ? (Math.log10(value) - start) / (end - start) : Number.NaN),
    text: (value) => shortNumber(value, value),
  };
}

/** The smallest of 1, 2, 2.5, 5 times a power of ten that is not below `step`. */
function roundStep(step: number): number {
  const power = 10 ** Math.floor(Math.log10(step));
  const multiple = [1, 2, 2.5, 5].find((m) => m * power >= step * (1 - 1e-9)) ?? 10;
  return multiple * power;
}

const PREFIXES: readonly (readonly [number, string])[] = [
  [1e12, " T"],
  [1e9, " G"],
  [1e6, " M"],
  [1e3, " k"],
];

/** `value` with as many digits as `step` needs, thousands as k, M, G or T. */
function shortNumber(value: number, step: number): string {
  if (value === 0) return "0";
  const [unit, prefix] = PREFIXES.find(([size]) => Math.abs(value) >= size) ?? [1, ""];
  if (unit === 1 && Math.abs(value) < 1e-3) return value.toExponential(1).replace(".0e", "e");
  const digits = Math.min(6, Math.max(0, -Math.floor(Math.log10(step / unit) + 1e-9) + 1));
  return `${Number((value / unit).toFixed(digits))}${prefix}`;
}
