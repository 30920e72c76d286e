import { createInterface } from "node:readline";

/** A figure's raw material: what one request measured. Times in nanoseconds, sizes in bytes. */
export type Reply = Readonly<Record<string, number | string | boolean>>;

/**
 * Says that this process is ready, then answers each line of standard input (words apart by spaces) with one line of
 * JSON, until the input ends. A failure ends the process with its message.
 */
export async function serveLines(ready: Reply, answer: (words: string[]) => Promise<Reply>): Promise<void> {
  console.log(JSON.stringify({ ready: true, ...ready }));
  for await (const line of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await answer(line.split(" "))));
  }
}

/** The settings that a subject was started with: its one argument, JSON. */
export function settingsOf<T>(): T {
  return JSON.parse(process.argv[2]) as T;
}

export function nanoseconds(): number {
  return performance.now() * 1e6;
}
