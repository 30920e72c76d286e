import type { TextStream } from "./output.js";

const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];

/** A bar of `share` (0 to 1) of `width` characters, in steps of an eighth of one. */
export function barText(share: number, width: number): string {
  const units = Math.round(Math.min(1, Math.max(0, share)) * width * 8);
  return "█".repeat(units >> 3) + eighths[units & 7];
}

/** A line that says how far long work is, on a terminal only; `clear` takes it away. */
export interface ProgressLine {
  show(done: number, total: number, what: string): void;
  clear(): void;
}

/** Writes to `stream`, which a person reads, at most every 100 ms by `now()`; to anything else nothing. */
export function progressLine(stream: TextStream, now: () => number = () => performance.now()): ProgressLine {
  if (!stream.isTTY) return { show: () => {}, clear: () => {} };
  let shownAt = Number.NEGATIVE_INFINITY;
  return {
    show(done, total, what) {
      if (now() - shownAt < 100) return;
      shownAt = now();
      const share = total > 0 ? Math.min(1, done / total) : 0;
      const percent = `${Math.floor(100 * share)}`.padStart(3);
      stream.write(`\r\x1b[2K${percent} % ${barText(share, 24).padEnd(24)}  ${what}`);
    },
    clear() {
      if (shownAt > Number.NEGATIVE_INFINITY) stream.write("\r\x1b[2K");
    },
  };
}
