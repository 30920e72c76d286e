/** What a node says of itself at its control port, as far as the story shows it. */
export interface NodeFigures {
  readonly rows: number;
  readonly rowsPerSecond: number;
  readonly clients: number;
  /** Pushes that came again and were answered only. */
  readonly repeated: number;
}

interface Status {
  readonly shards: readonly {
    readonly connections: number;
    readonly counts: { readonly repeated: number };
    readonly rates: { readonly rowsRead: number; readonly rowsWritten: number };
    readonly store?: { readonly tables: readonly { readonly rows: number }[] };
  }[];
}

/** Asks a node for its figures; undefined where it does not answer, which is no error here: it may have been killed. */
export async function figuresOf(address: string): Promise<NodeFigures | undefined> {
  let status: Status;
  try {
    const response = await fetch(`http://${address}/status`, { signal: AbortSignal.timeout(1000) });
    status = (await response.json()) as Status;
  } catch {
    return undefined;
  }
  const sum = (of: (shard: Status["shards"][number]) => number) =>
    status.shards.reduce((all, shard) => all + of(shard), 0);
  return {
    rows: sum(({ store }) => store?.tables.reduce((all, { rows }) => all + rows, 0) ?? 0),
    rowsPerSecond: sum(({ rates }) => rates.rowsRead + rates.rowsWritten),
    clients: sum(({ connections }) => connections),
    repeated: sum(({ counts }) => counts.repeated),
  };
}
