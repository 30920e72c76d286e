// Working memories of a client's requests: which are kept for the next ones.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PlanMemories, type PlanMemory } from "../../lib/client/plan-memory.js";

/** How many of so many memories, taken at once and used for batches of so many bytes, are taken again. */
function keptOf(count: number, bytes: number): number {
  const memories = new PlanMemories();
  const take = (): PlanMemory[] =>
    Array.from({ length: count }, () => {
      const memory = memories.take();
      memory.begin(bytes);
      return memory;
    });
  const first = take();
  for (const memory of first) memories.give(memory);
  return take().filter((memory) => first.includes(memory)).length;
}

test("memories of small requests are kept, as many as are on their way at once", () => {
  assert.is(keptOf(40, 100_000), 40);
});

test("of those that large batches have used, a few are", () => {
  assert.is(keptOf(12, 2 << 20), 4);
});

test.run();
