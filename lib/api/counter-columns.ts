// Counters lie row by row in memory and in the log; callers give and get one column for each name.

/** Columns f32[n] by the counters' names. */
export type CounterColumns = Readonly<Record<string, Float32Array>>;

/** f32[n * counters], row by row, as columns of their own; the caller owns them. */
export function splitCounters(names: readonly string[], rows: Float32Array): Record<string, Float32Array> {
  const n = rows.length / names.length;
  const columns: Record<string, Float32Array> = {};
  names.forEach((name, c) => {
    const column = new Float32Array(n);
    for (let i = 0; i < n; i++) column[i] = rows[i * names.length + c];
    columns[name] = column;
  });
  return columns;
}

/**
 * Columns of `n` as a new f32[n * counters], row by row. A first counter that is left out is how often the key occurred
 * (u32[n], 1 unless given), a second one 0.
 */
export function joinCounters(
  names: readonly string[],
  columns: CounterColumns,
  n: number,
  counts?: Uint32Array,
): Float32Array {
  const rows = new Float32Array(n * names.length);
  names.forEach((name, c) => {
    const column = columns[name];
    if (column) for (let i = 0; i < n; i++) rows[i * names.length + c] = column[i];
    else if (c === 0) for (let i = 0; i < n; i++) rows[i * names.length] = counts?.[i] ?? 1;
  });
  return rows;
}
