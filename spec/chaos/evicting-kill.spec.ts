// Kills of a real process whose table evicts: what is recovered is the oracle after some number of writes, evictions among
// them, and at least those that were acknowledged.
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Prng } from "../../lib/base/prng.js";
import { openStore } from "../../lib/index.js";
import type { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { oracleOf, scanAll } from "../laws/oracle-of.js";
import { type EvictingKind, type EvictingPlan, evictingOperation, optionsOfKind } from "./evicting-life.js";

const lifeScript = fileURLToPath(new URL("./evicting-life.js", import.meta.url));
const rounds = Number(process.env.EMBERSHARD_ROUNDS ?? 8);
const seed = Number(process.env.EMBERSHARD_SEED ?? 1);

/** The table after operation number `operation` and the evictions that followed it so far. */
interface State {
  readonly operation: number;
  readonly oracle: OracleTable;
}

/** Lets a process live, and kills it some milliseconds after it has done what the plan says. */
function liveAndDie(plan: EvictingPlan, delayMs: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--enable-source-maps", lifeScript, JSON.stringify(plan)], {
      stdio: ["ignore", "pipe", "pipe"],
    });
    let errors = "";
    child.stderr.on("data", (data) => (errors += data));
    child.stdout.once("data", () => setTimeout(() => child.kill("SIGKILL"), delayMs));
    child.on("close", (_, signal) =>
      signal === "SIGKILL" ? resolve(readFileSync(plan.journal, "utf8")) : reject(new Error(errors)),
    );
  });
}

/** What the table was after each thing that a journal tells, and the number of the first state that may be left. */
function follow(
  kind: EvictingKind,
  journal: string,
  base: State,
): { states: State[]; least: number; evicted: number } {
  const states = [base];
  let [least, evicted] = [0, 0];
  for (const line of journal.split("\n").slice(0, -1)) {
    const last = states[states.length - 1];
    const oracle = last.oracle.clone();
    if (line[0] === "s") {
      const i = Number(line.slice(1));
      const operation = evictingOperation(kind, seed, i);
      if (operation.kind === "decay") oracle.decay();
      else if (operation.kind === "delete") oracle.delete(operation.keys);
      else if (operation.kind === "assign") oracle.assign(operation.keys, operation.values);
      else oracle.push(operation.keys, operation.values, { step: i });
      states.push({ operation: i, oracle });
    } else if (line[0] === "e") {
      const keys = line.slice(1).split(",").map(BigInt);
      assert.is(oracle.delete(keys), keys.length, "rows that went were there");
      evicted += keys.length;
      states.push({ operation: last.operation, oracle });
    } else least = states.findIndex(({ operation }) => operation === Number(line.slice(1)));
  }
  return { states, least, evicted };
}

const kinds: Readonly<Record<EvictingKind, string>> = {
  plain: "a table that evicts",
  combined: "a table that evicts, admits and is narrow",
  cold: "a table that evicts and is larger than its memory",
};

for (const [kind, what] of Object.entries(kinds) as [EvictingKind, string][])
  test(`${what} comes back from kills as its oracle`, async () => {
    const place = mkdtempSync(join(tmpdir(), "embershard-evicting-"));
    const [directory, journal] = [join(place, "store"), join(place, "journal")];
    const random = new Prng(seed);
    let base: State | undefined;
    let [evicted, cold] = [0, 0];
    // Oracles of wide rows take their time: two rounds unless EMBERSHARD_ROUNDS says more.
    const kills = kind === "cold" && process.env.EMBERSHARD_ROUNDS === undefined ? 2 : rounds;
    const few = kind === "cold" ? 30 : 0;
    for (let round = 0; round < kills; round++) {
      writeFileSync(journal, "");
      const from = (base?.operation ?? 0) + 1;
      const plan = { kind, directory, journal, seed, from, signalAfter: few + random.below(60 - few) };
      const text = await liveAndDie(plan, random.unit() * 25);
      const store = await openStore(directory, {
        control: false,
        hugePages: "off",
        arenaBytes: 32 << 20,
        checkpoint: false,
      });
      const table = await store.table("t");
      const lost: bigint[] = [];
      table.onEvicted(({ keys }) => lost.push(...keys));
      base ??= { operation: 0, oracle: oracleOf(table.options) };
      const told = follow(kind, text, base);
      evicted += told.evicted;
      while ((await table.stats()).rows > optionsOfKind[kind].eviction.maxRows)
        await new Promise((resolve) => setImmediate(resolve));
      const stats = await table.stats();
      cold = Math.max(cold, stats.cold?.rows ?? 0);
      const { slices: _, ...counts } = stats.evicted!;
      const gone = Object.values(counts).reduce((sum, count) => sum + count);
      const rows = await scanAll(table);
      const differences: string[] = [];
      let went = lost;
      const found = told.states.findLastIndex(({ oracle }, k) => {
        if (k < told.least) return false;
        const then = oracle.clone();
        // Those that went while the store was opened were told to nobody: they are counted.
        const untold = [...oracle.rows.keys()].filter((key) => !rows.has(key) && !lost.includes(key));
        went = [...lost, ...(untold.length === gone - lost.length ? untold : [])];
        const difference =
          then.delete(went) === gone ? then.difference(rows) : "rows went that were not there";
        if (difference !== undefined) differences.push(`state ${k}: ${difference}`);
        return difference === undefined;
      });
      assert.ok(
        found >= 0,
        `seed ${seed}, round ${round}, ${place}: none of\n${differences.slice(0, 5).join("\n")}`,
      );
      const { operation, oracle } = told.states[found];
      oracle.delete(went);
      base = { operation, oracle };
      await store.close();
    }
    assert.ok(
      base!.operation > 50 && evicted > (kind === "cold" ? 20 : 300),
      `${base!.operation} operations, ${evicted} rows evicted`,
    );
    assert.ok(kind !== "cold" || cold > 100, `${cold} cold rows`);
    rmSync(place, { recursive: true, force: true });
  });

test.run();
