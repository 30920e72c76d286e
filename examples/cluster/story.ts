/** What a worker is told when it begins. */
export interface WorkerPlan {
  readonly address: string;
  /** Its name towards the nodes: nobody else's. */
  readonly name: string;
  /** It takes the batches whose number, divided by `of`, leaves `number`. */
  readonly number: number;
  readonly of: number;
  readonly epochs: number;
  readonly seed: number;
  /** The directory of MovieLens 100K; generated data without it. */
  readonly path?: string | undefined;
}

/** What a worker tells while it works, some times a second. */
export interface WorkerProgress {
  readonly kind: "progress";
  /** From 0: the epoch that it is in. */
  readonly epoch: number;
  /** Batches whose pushes were acknowledged. */
  readonly batches: number;
  /** Rows pulled and pushed. */
  readonly rows: number;
  /** Requests that were sent again. */
  readonly retries: number;
  /** The shard that it waits for, where one does not answer. */
  readonly waitsFor?: string | undefined;
}

/** What a worker tells at its end. */
export interface WorkerResult extends Omit<WorkerProgress, "kind"> {
  readonly kind: "done";
  /** By feature: the acknowledged pushes that had its key. */
  readonly pushes: Uint32Array;
}

/** How often rows were counted, against how often they were pushed. */
export interface Proof {
  /** Rows that were compared, and pushes of a key that they should have counted. */
  readonly rows: number;
  readonly pushes: number;
  /** Pushes of a key that no row counts, and counts that nobody pushed. */
  readonly lost: number;
  readonly doubled: number;
}

export interface Quality {
  readonly rmse: number;
  readonly auc: number;
}

/** What the story comes to; `--json` prints it. */
export interface StoryReport extends Quality {
  readonly data: string;
  readonly epochs: number;
  readonly seed: number;
  readonly nodes: number;
  readonly workers: number;
  /** The same job by one process in a store of its own. */
  readonly single: Quality;
  readonly seconds: number;
  /** Batches, each one push of two tables and a tensor to all nodes. */
  readonly batches: number;
  readonly kills: number;
  /** Milliseconds from the kill until the node served again. */
  readonly downMs: number;
  readonly retries: number;
  /** Requests that came again and had been applied: answered, and not applied again. */
  readonly repeated: number;
  readonly counted: Proof;
  /** Where the nodes' directories are kept; absent where they were temporary. */
  readonly dir?: string | undefined;
}
