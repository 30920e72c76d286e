import type { ControlHandlers } from "./control-socket.js";
import type { EmbeddedStore } from "./embedded-store.js";

/** What the owner tells an asker who reads the store's files beside it. */
export interface HoldProgress {
  /** The files stay from now on; every record up to here is in them. */
  readonly held?: {
    readonly writtenLsn: number;
    /** See `StoreHold`; base64. */
    readonly instant?: string;
  };
  /** A checkpoint is written before. */
  readonly checkpoint?: { readonly pages: number; readonly total: number };
}

/**
 * `hold` keeps the log's files for an asker that reads them, until it goes away; with `{ checkpoint: true }` it writes
 * a checkpoint first. It never answers: its progress says when the files are held.
 */
export function holdHandlers(store: EmbeddedStore): ControlHandlers {
  return {
    hold: async (params, { signal, progress }) => {
      const { checkpoint } = (params ?? {}) as { checkpoint?: unknown };
      if (checkpoint === true) {
        const onProgress = ({ pages, total }: { pages: number; total: number }) =>
          progress({ checkpoint: { pages, total } } satisfies HoldProgress);
        await store.checkpoint({ signal, onProgress });
      }
      const whole = checkpoint === true ? await store.holdInstant(signal) : store.hold();
      const { writtenLsn, instant, release } = whole;
      try {
        const held = {
          writtenLsn,
          ...(instant && { instant: Buffer.from(instant).toString("base64") }),
        };
        progress({ held } satisfies HoldProgress);
        await new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          signal.addEventListener("abort", () => resolve(), { once: true });
        });
      } finally {
        release();
      }
    },
  };
}
