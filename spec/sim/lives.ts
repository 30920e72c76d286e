// Many seeds in one spec, and what is said of one that fails.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { simulate } from "./simulation.js";
import type { Violation, WorldOptions } from "./world.js";

/** Seeds of each of the files that tell them. */
const seedsPerFile = 250;
/** Lines of a trace that are shown. */
const shownLines = 60;

/** Tells the seeds of one of the files, which are numbered from 0. */
export function tellLives(file: number): void {
  const first = file * seedsPerFile;
  const last = first + seedsPerFile - 1;
  test(`clusters of seeds ${first} to ${last}`, async () => {
    let writes = 0;
    for (let seed = first; seed <= last; seed++) {
      const { violation, writes: made } = await simulate({ seed });
      if (violation) assert.unreachable(await reportOf({ seed }, violation));
      writes += made;
    }
    assert.ok(writes > 10 * seedsPerFile, `${writes} writes are too few to say anything`);
  });
}

/** What is wrong in a story, and its last lines: it is told once more. */
export async function reportOf(options: WorldOptions, { message }: Violation): Promise<string> {
  const lines = await traceOf(options);
  const shown = lines.slice(-shownLines).join("\n");
  return `seed ${options.seed}: ${message}\nthe last of ${lines.length} lines:\n${shown}\nagain: npm run sim -- --seed ${options.seed} --trace`;
}

/** All that happens in a story. */
export async function traceOf(options: WorldOptions): Promise<string[]> {
  const lines: string[] = [];
  await simulate({ ...options, trace: (line) => lines.push(line) });
  return lines;
}
