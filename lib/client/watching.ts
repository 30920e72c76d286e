// Listening to rows that shards evict.
import type { EvictedRows, EvictionReason } from "../api/row-batches.js";
import { EmbershardError } from "../base/errors.js";
import type { Evicted } from "../wire/generated/frame-types.js";
import { type CallSettings, waitMs } from "./call.js";
import { type Channel, unexpected } from "./channel.js";
import { noteRetry } from "./client-events.js";
import type { Cluster } from "./cluster.js";
import { demandFeature } from "./features.js";
import { receivedRows } from "./received-rows.js";
import type { RemoteTable } from "./remote-table.js";

const reasons: readonly EvictionReason[] = ["capacity", "age", "norm", "request"];
/** Who has listened for so long begins with short waits again. */
const longMs = 5000;
const over = new EmbershardError("ABORTED", "nobody listens any more");

/**
 * Listens to what a table lets go at every shard, until it is ended: where a connection ends it asks again on the next one,
 * and what went meanwhile is not heard.
 */
export class Watch {
  readonly #cluster: Cluster;
  readonly #settings: CallSettings;
  readonly #table: RemoteTable;
  readonly #listener: (rows: EvictedRows) => void;
  /** Requests that are under way. */
  readonly #asked = new Map<number, { readonly channel: Channel; readonly id: number }>();
  #ended = false;

  /** What is called from now on over connections that there are is behind it. */
  constructor(
    cluster: Cluster,
    settings: CallSettings,
    table: RemoteTable,
    listener: (rows: EvictedRows) => void,
  ) {
    this.#cluster = cluster;
    this.#settings = settings;
    this.#table = table;
    this.#listener = listener;
    for (const owner of cluster.owners) void this.#follow(owner);
  }

  end(): void {
    this.#ended = true;
    for (const { channel, id } of this.#asked.values()) channel.cancel(id, over);
  }

  async #follow(owner: number): Promise<void> {
    for (let attempt = 1; ; attempt++) {
      const began = this.#settings.clock.elapsed();
      const error = await this.#once(owner);
      // The table is gone, this worker is fenced, the store is closed: there is nothing more to hear.
      if (this.#ended || !error.retry) return;
      if (this.#settings.clock.elapsed() - began > longMs) attempt = 1;
      const delayMs = waitMs(attempt, 0, this.#settings.random);
      noteRetry({ peer: this.#cluster.ownerName(owner), keys: 0, attempt, delayMs, error });
      await new Promise<void>((resolve) => this.#settings.clock.after(delayMs, resolve));
      if (this.#ended) return;
    }
  }

  /** Listens until that ends, and gives the reason. */
  async #once(owner: number): Promise<EmbershardError> {
    try {
      const reached = this.#cluster.channel(owner);
      // In the turn of the call where that is possible: what is asked next comes behind it.
      const channel = reached instanceof Promise ? await reached : reached;
      demandFeature(channel, "watch", "telling of rows that are evicted");
      if (this.#ended) return over;
      return await this.#listen(owner, channel);
    } catch (cause) {
      if (cause instanceof EmbershardError) return cause;
      throw cause;
    } finally {
      this.#asked.delete(owner);
    }
  }

  #listen(owner: number, channel: Channel): Promise<EmbershardError> {
    const { id: table, fingerprint } = this.#table;
    return new Promise((resolve) => {
      const id = channel.request(
        { kind: "WatchEvicted", table, fingerprint },
        {},
        {
          answer: ({ body, more }) => {
            if (body.kind !== "Evicted") throw unexpected(channel.name, body.kind, "Evicted");
            this.#tell(body);
            if (!more) resolve(new EmbershardError("UNAVAILABLE", `${channel.name}: it tells no more`));
          },
          failed: resolve,
        },
      );
      this.#asked.set(owner, { channel, id });
    });
  }

  #tell({ reason, rows, missed }: Evicted): void {
    if (this.#ended) return;
    const {
      keys,
      rows: values,
      state,
      frequency,
      lastStep,
      counters,
    } = receivedRows(this.#table.counters, rows);
    this.#listener({
      reason: reasons[reason],
      keys,
      rows: values,
      state,
      frequency,
      lastStep,
      ...(counters && { counters }),
      ...(missed > 0 && { missed }),
    });
  }
}
