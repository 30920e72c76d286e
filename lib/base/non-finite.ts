// Numbers that are not finite: JSON has none, and `<` has no place for NaN.

/** Whether `a` ranks below `b`. NaN ranks above everything: who asks for the greatest looks for what has diverged. */
export function ranksBelow(a: number, b: number): boolean {
  return a < b || (Number.isNaN(b) && !Number.isNaN(a));
}

/** For `sort`. */
export function greatestFirst(a: number, b: number): number {
  if (ranksBelow(a, b)) return 1;
  return ranksBelow(b, a) ? -1 : 0;
}

/** For `JSON.stringify`: what is not finite becomes "NaN", "Infinity" or "-Infinity". */
export function nonFiniteAsText(_name: string, value: unknown): unknown {
  return typeof value === "number" && !Number.isFinite(value) ? String(value) : value;
}

/** Fields that hold numbers, or arrays of them, which may not be finite. Others may hold such texts, as a note does. */
const numeric: ReadonlySet<string> = new Set(["weights", "state", "norm", "distance"]);

/** For `JSON.parse`: reads back what `nonFiniteAsText` wrote. */
export function nonFiniteFromText(name: string, value: unknown): unknown {
  if (!numeric.has(name)) return value;
  return Array.isArray(value) ? value.map(fromText) : fromText(value);
}

function fromText(value: unknown): unknown {
  return value === "NaN" || value === "Infinity" || value === "-Infinity" ? Number(value) : value;
}
