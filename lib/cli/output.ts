import { nonFiniteAsText } from "../base/non-finite.js";

/** A stream that text is written to, and whether a person reads it. */
export interface TextStream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

/** Where a command writes: results to `out`, everything else to `err`. */
export interface Output {
  readonly out: TextStream;
  readonly err: TextStream;
  /** Emphasizes a heading where `out` is a terminal that wants colours. */
  heading(text: string): string;
}

/** `environment.NO_COLOR` (https://no-color.org) and `TERM=dumb` switch emphasis off. */
export function outputOf(out: TextStream, err: TextStream, environment: NodeJS.ProcessEnv): Output {
  const styled = out.isTTY === true && !environment.NO_COLOR && environment.TERM !== "dumb";
  return { out, err, heading: (text) => (styled ? `\x1b[1m${text}\x1b[22m` : text) };
}

/** What `--json` prints. */
export function jsonLine(value: unknown): string {
  return `${JSON.stringify(value, nonFiniteAsText)}\n`;
}
