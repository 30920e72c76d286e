// Repair of damaged stores loses nothing that it did not announce. CASES and SEED widen it.
import { suite } from "uvu";
import { liveStore } from "./lived-store.js";
import { repairCase } from "./repair-case.js";

// Store 8 has a table that is larger than its memory.
const cases = Number(process.env.CASES ?? 10);
const firstSeed = Number(process.env.SEED ?? 1);
const perStore = 7;

const test = suite("repair");

for (let begin = 0; begin < cases; begin += perStore) {
  test(`${Math.min(perStore, cases - begin)} damaged copies of store ${firstSeed + begin}`, async () => {
    const lived = await liveStore(firstSeed + begin, 60, true);
    try {
      for (let i = begin; i < Math.min(cases, begin + perStore); i++) {
        const outcome = await repairCase(lived, firstSeed + i);
        if (process.env.TELL) console.log(firstSeed + i, outcome);
      }
    } finally {
      lived.remove();
    }
  });
}

test.run();
