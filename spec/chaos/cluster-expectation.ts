// What the tables of the cluster's chaos have to hold, by the journals of its workers.
import { readFileSync } from "node:fs";
import { encodeInitializer } from "../../lib/api/initializers.js";
import { encodeOptimizer } from "../../lib/api/optimizers.js";
import { defineTable } from "../../lib/api/table-definition.js";
import { OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { ownDim, ownName, ownOptions, pushAt, sharedName, workers } from "./cluster-pushes.js";
import type { Finding } from "./cluster-worker.js";
import type { Contents, Rows } from "./world.js";

/** Rows that miss a push that was acknowledged, and rows that have one twice; in words. */
export class ClusterDamage extends Error {
  constructor(what: string) {
    super(what);
    this.name = "ClusterDamage";
  }
}

/** One worker's pushes, as its journal has them. */
export class WorkerHistory {
  readonly oracle: OracleTable;
  /** Of its own table, by key: pushes that were applied, in their order. */
  readonly applied = new Map<bigint, number[]>();
  /** Of the shared table, by key: pushes that were applied. */
  readonly shared = new Map<bigint, number>();
  acknowledged = 0;
  sent = 0;
  readonly #seed: number;
  readonly #worker: number;

  constructor(seed: number, worker: number, journal: string) {
    this.#seed = seed;
    this.#worker = worker;
    this.oracle = ownOracle(worker);
    this.#read(readFileSync(journal, "utf8"));
  }

  #read(journal: string): void {
    let lifeSent: number[] = [];
    const acknowledged = new Set<number>();
    for (const line of journal.split("\n").slice(0, -1)) {
      const [kind, rest] = [line[0], line.slice(1)];
      if (kind === "s") lifeSent.push(Number(rest));
      else if (kind === "a") acknowledged.add(Number(rest));
      else {
        this.#apply(lifeSent, acknowledged, JSON.parse(rest) as Finding);
        lifeSent = [];
      }
    }
    this.#apply(lifeSent, acknowledged, undefined);
    this.acknowledged = acknowledged.size;
  }

  /** A life's pushes: those that were acknowledged, and of the others what the next life found. */
  #apply(sent: readonly number[], acknowledged: ReadonlySet<number>, finding: Finding | undefined): void {
    const last = new Map(finding?.last.map(([key, push]) => [BigInt(key), push]));
    const unknown = new Map<bigint, number>();
    for (const i of sent) {
      const { ownKeys, ownGradients, sharedKeys } = pushAt(this.#seed, this.#worker, i);
      this.sent = Math.max(this.sent, i);
      const sure = acknowledged.has(i);
      if (!sure && !finding) throw new ClusterDamage(`${this.#name}: push ${i} was never acknowledged`);
      const applied = [...ownKeys.keys()].filter((at) => sure || (last.get(ownKeys[at]) ?? 0) >= i);
      const gradients = applied.flatMap((at) => [...ownGradients.subarray(at * ownDim, (at + 1) * ownDim)]);
      this.oracle.push(
        BigUint64Array.from(applied, (at) => ownKeys[at]),
        Float32Array.from(gradients),
        { step: i, learningRate: this.oracle.definition.learningRate },
      );
      for (const at of applied) {
        const pushes = this.applied.get(ownKeys[at]);
        if (pushes) pushes.push(i);
        else this.applied.set(ownKeys[at], [i]);
      }
      const counted = sure ? this.shared : unknown;
      for (const key of sharedKeys) counted.set(key, (counted.get(key) ?? 0) + 1);
    }
    for (const [text, pushes] of finding?.shared ?? []) {
      const key = BigInt(text);
      const least = this.shared.get(key) ?? 0;
      if (pushes < least || pushes > least + (unknown.get(key) ?? 0))
        throw new ClusterDamage(
          `${this.#name}: key ${key} of the shared table counts ${pushes} of its pushes, ${least} were acknowledged and ${unknown.get(key) ?? 0} more sent: ${pushes < least ? "lost" : "doubled"}`,
        );
      if (pushes > 0) this.shared.set(key, pushes);
    }
  }

  /**
   * What is wrong with rows of its own table in a version that was asked for when the journal had the lines `before`, and was there when
   * it had `after`. Each row is what it was after some push; and all were so at one instant: what was acknowledged before something
   * was sent that is in the version is in it, too.
   */
  differenceOf(rows: Rows, before: readonly string[], after: readonly string[]): string | undefined {
    const sent = Math.max(0, ...numbersOf(after, "s"));
    const oracle = ownOracle(this.#worker);
    let latest = 0;
    for (const [key, { lastStep }] of rows) {
      const pushes = this.applied.get(key) ?? [];
      if (!pushes.includes(lastStep)) return `key ${key} has push ${lastStep}, which is none of its own`;
      if (lastStep > sent) return `key ${key} has push ${lastStep}, which was sent later`;
      latest = Math.max(latest, lastStep);
      for (const i of pushes) if (i <= lastStep) this.#pushOne(oracle, key, i);
    }
    const end = after.indexOf(`s${latest}`);
    const known = new Set([...numbersOf(before, "a"), ...numbersOf(after.slice(0, Math.max(0, end)), "a")]);
    for (const [key, pushes] of this.applied) {
      const least = Math.max(0, ...pushes.filter((i) => known.has(i)));
      const { lastStep = 0 } = rows.get(key) ?? {};
      if (lastStep < least)
        return `key ${key} has push ${lastStep}, not ${least}, which was acknowledged before it was asked for, or before push ${latest}, which it has`;
    }
    return oracle.difference(rows);
  }

  #pushOne(oracle: OracleTable, key: bigint, i: number): void {
    const { ownKeys, ownGradients } = pushAt(this.#seed, this.#worker, i);
    const at = ownKeys.indexOf(key);
    const gradients = ownGradients.slice(at * ownDim, (at + 1) * ownDim);
    oracle.push([key], gradients, { step: i, learningRate: oracle.definition.learningRate });
  }

  get #name(): string {
    return `worker ${this.#worker}`;
  }
}

/** The oracle of a worker's own table, empty. */
function ownOracle(worker: number): OracleTable {
  const definition = defineTable(ownName(worker), 1, ownOptions);
  const { learningRate } = definition.optimizer;
  return new OracleTable({
    dim: definition.dim,
    seed: BigInt(definition.seed),
    optimizer: encodeOptimizer(definition.optimizer, definition),
    initializer: encodeInitializer(definition.initializer),
    learningRate,
  });
}

function numbersOf(lines: readonly string[], kind: "a" | "s"): number[] {
  return lines.filter((line) => line[0] === kind).map((line) => Number(line.slice(1)));
}

export interface ClusterCounts {
  readonly sent: number;
  readonly acknowledged: number;
}

/** Demands that tables are what journals say, to the bit. @throws ClusterDamage */
export function demandCluster(histories: readonly WorkerHistory[], { tables }: Contents): ClusterCounts {
  for (const [worker, { oracle }] of histories.entries()) {
    const difference = oracle.difference(tables.get(ownName(worker))!.rows);
    if (difference !== undefined) throw new ClusterDamage(`table ${ownName(worker)}: ${difference}`);
  }
  const { rows } = tables.get(sharedName)!;
  const keys = new Set([...rows.keys(), ...histories.flatMap(({ shared }) => [...shared.keys()])]);
  for (const key of keys) {
    const expected = histories.map(({ shared }) => shared.get(key) ?? 0);
    const row = rows.get(key);
    const found = Array.from({ length: workers }, (_, worker) => -(row?.weights[worker] ?? 0));
    const frequency = expected.reduce((sum, one) => sum + one, 0);
    if (found.some((one, worker) => one !== expected[worker]) || (row?.frequency ?? 0) !== frequency)
      throw new ClusterDamage(
        `table ${sharedName}, key ${key}: counts ${found.join(", ")} of each worker's pushes and a frequency of ${row?.frequency ?? 0}, expected ${expected.join(", ")} and ${frequency}`,
      );
  }
  const sum = (of: (history: WorkerHistory) => number) => histories.reduce((all, one) => all + of(one), 0);
  return { sent: sum(({ sent }) => sent), acknowledged: sum(({ acknowledged }) => acknowledged) };
}
