import type { EpochResult, Progress } from "./training.js";

export interface ProgressOutput {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
}

/** Shows how a run goes on: a bar that is drawn anew on a terminal, a line per epoch elsewhere. */
export interface ProgressDisplay {
  start(progress: Progress): void;
  step(progress: Progress): void;
  epoch(result: EpochResult): void;
  /** Removes the bar. */
  end(): void;
}

const REDRAW_MS = 100;
const BAR_WIDTH = 20;

/** `now` gives milliseconds: rates are counted from `start`. */
export function progressDisplay(output: ProgressOutput, epochs: number, now: () => number): ProgressDisplay {
  const terminal = output.isTTY === true;
  let startMs = now();
  let drawnMs = Number.NEGATIVE_INFINITY;
  let rows = 0;
  const clear = () => (terminal ? output.write("\r\x1b[K") : undefined);
  const rate = () => rowsPerSecond(rows, now() - startMs);
  return {
    start(progress) {
      startMs = now();
      rows = progress.rows;
    },
    step(progress) {
      rows = progress.rows;
      if (!terminal || now() - drawnMs < REDRAW_MS) return;
      drawnMs = now();
      const text = `${bar(progress, epochs)}  ${rate()}`;
      output.write(`\r${text.slice(0, (output.columns || 80) - 1)}\x1b[K`);
    },
    epoch({ epoch, trainingRmse, heldOutRmse }) {
      clear();
      const digits = String(epochs).length;
      const place = `epoch ${String(epoch).padStart(digits)}/${epochs}`;
      const errors = `training RMSE ${trainingRmse.toFixed(4)}  held out ${heldOutRmse.toFixed(4)}`;
      output.write(`${`${place}  ${errors}  ${rate()}`.trimEnd()}\n`);
    },
    end: () => void clear(),
  };
}

function bar({ position, batches, loss }: Progress, epochs: number): string {
  const share = (position.epoch * batches + position.batch) / (epochs * batches);
  const full = Math.min(BAR_WIDTH, Math.floor(share * BAR_WIDTH));
  const drawn = `${"█".repeat(full)}${"░".repeat(BAR_WIDTH - full)}`;
  const percent = String(Math.floor(share * 100)).padStart(3);
  return `${drawn} ${percent} %  epoch ${position.epoch + 1}/${epochs}  loss ${loss.toFixed(4)}`;
}

/** Nothing where there were no rows: what was trained before has no rate. */
function rowsPerSecond(rows: number, elapsedMs: number): string {
  if (rows === 0) return "";
  const rate = (rows / Math.max(1, elapsedMs)) * 1000;
  if (rate >= 1e6) return `${(rate / 1e6).toFixed(2)} M rows/s`;
  return `${Math.round(rate / 1e3)} k rows/s`;
}
