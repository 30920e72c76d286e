// Frequencies and steps as the kernel looks at them: unsigned, of every length, nothing beside them touched.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { instantiateKernel } from "../../lib/kernel/kernel.js";
import { MAX_FREQUENCY, SCRATCH } from "../../lib/kernel/layout.js";

const { exports: kernel, memory } = instantiateKernel(64 << 20);
const u32 = new Uint32Array(memory.buffer);

/** Numbers of all magnitudes, those about the limit and the signs of others among them. */
function numbers(random: Prng, n: number): Uint32Array {
  const edges = [
    0,
    1,
    MAX_FREQUENCY - 1,
    MAX_FREQUENCY,
    MAX_FREQUENCY + 1,
    0x7fffffff,
    0x80000000,
    0xffffffff,
  ];
  return Uint32Array.from({ length: n }, () =>
    random.below(4) === 0 ? edges[random.below(edges.length)] : random.below(2 ** (1 + random.below(32))),
  );
}

test("numbers above a limit become the limit, and the largest is found", () => {
  const random = new Prng(5);
  for (let n = 0; n < 40; n++) {
    for (let round = 0; round < 20; round++) {
      const given = numbers(random, n);
      const first = SCRATCH / 4 + random.below(3);
      u32.fill(0xffffffff, first - 1, first + n + 1);
      u32.set(given, first);
      assert.is(kernel.largestOf(4 * first, n) >>> 0, Math.max(0, ...given));
      kernel.limitTo(MAX_FREQUENCY, 4 * first, n);
      assert.equal(
        u32.slice(first - 1, first + n + 1),
        Uint32Array.of(0xffffffff, ...given.map((value) => Math.min(value, MAX_FREQUENCY)), 0xffffffff),
      );
    }
  }
});

test.run();
