// Damaged directories are repaired: what they then hold is what they held, but for what was announced.
import { liveStore } from "../repair/lived-store.js";
import { type RepairOutcome, repairCase } from "../repair/repair-case.js";

/** Repairs stores of their own lives and damage, one for each seed from `seed` on. The first that fails ends the process. */
export async function fuzzRepairs({
  cases,
  seed,
  json,
}: {
  cases: number;
  seed: number;
  json: boolean;
}): Promise<void> {
  const outcomes: Record<RepairOutcome, number> = { whole: 0, repaired: 0, lossy: 0, impossible: 0 };
  const shown = process.stderr.isTTY && !json;
  for (let i = 0; i < cases; i++) {
    const lived = await liveStore(seed + i, 60, true);
    try {
      outcomes[await repairCase(lived, seed + i)]++;
    } catch (error) {
      const { message } = error as Error;
      if (json) console.log(JSON.stringify({ seed: seed + i, failure: message }));
      else console.error(`\n${message}\nagain: npm run fuzz -- --repair --cases 1 --seed ${seed + i}`);
      process.exit(1);
    } finally {
      lived.remove();
    }
    if (shown) process.stderr.write(`\r${i + 1} of ${cases}\x1b[K`);
  }
  if (shown) process.stderr.write("\n");
  const { whole, repaired, lossy, impossible } = outcomes;
  if (json) console.log(JSON.stringify({ seed, cases, ...outcomes }));
  else
    console.log(
      `seed ${seed}: ${cases} damaged stores: ${whole} not harmed, ${repaired} repaired whole, ${lossy} with announced losses, ${impossible} refused, 0 lost unannounced`,
    );
}
