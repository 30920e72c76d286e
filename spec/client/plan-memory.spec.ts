// Working memories of a client's requests: small ones share blocks, and what is idle is used again.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PlanMemories, type PlanMemory } from "../../lib/client/plan-memory.js";

function takeMany(memories: PlanMemories, count: number, bytes: number): PlanMemory[] {
  return Array.from({ length: count }, () => memories.take(bytes));
}

/** How many of so many memories, taken at once for batches of so many bytes, are taken again. */
function keptOf(count: number, bytes: number): number {
  const memories = new PlanMemories();
  const first = takeMany(memories, count, bytes);
  for (const memory of first) memories.give(memory);
  return takeMany(memories, count, bytes).filter((memory) => first.includes(memory)).length;
}

test("memories of small requests are kept, as many as are on their way at once", () => {
  assert.is(keptOf(40, 100_000), 40);
  assert.is(keptOf(256, 1 << 20), 256);
});

test("of a burst of small requests a part is kept", () => {
  assert.is(keptOf(1024, 1000), 256);
});

test("of those that large batches have used, a few are", () => {
  assert.is(keptOf(12, 2 << 20), 4);
});

test("small requests have their own part of a memory, to its last byte, and what one writes the others do not see", () => {
  const memories = new PlanMemories();
  const bytes = 1 << 20;
  const taken = takeMany(memories, 70, bytes);
  const places = taken.map((memory) => memory.take(bytes));
  taken.forEach((memory, i) => {
    memory.bytes.fill(i + 1, places[i], places[i] + bytes);
  });
  taken.forEach((memory, i) => {
    const own = memory.bytes.subarray(places[i], places[i] + bytes);
    assert.ok(own.every((byte) => byte === i + 1));
  });
  assert.is(new Set(taken.map(({ kernel }) => kernel)).size, 3, "32 share one kernel");
});

test("a batch that takes more than it has said does not get it", () => {
  const memories = new PlanMemories();
  for (const bytes of [1000, 2 << 20]) {
    const memory = memories.take(bytes);
    memory.take(bytes - 64);
    assert.throws(() => memory.take(128), /no more than it has said/);
  }
});

test.run();
