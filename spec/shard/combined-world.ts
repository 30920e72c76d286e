// What a store of combined tables has to hold: oracles that changes are applied to, and the comparison with a real one.
import type { Store } from "../../lib/api/store-types.js";
import type { TableDefinition } from "../../lib/api/table-definition.js";
import type { OracleHistory, OracleTable } from "../../lib/kernel/oracle/oracle-table.js";
import { differenceFrom, oracleOf } from "../laws/oracle-of.js";

interface Member {
  /** Of one making of a table: a table made anew under a name has another. */
  readonly number: number;
  readonly definition: TableDefinition;
  readonly oracle: OracleTable;
  /** The highest step of a write, and decays of the counters. */
  step: number;
  epoch: number;
}

export interface PushGiven {
  readonly step: number;
  readonly counters?: Readonly<Record<string, Float32Array>>;
}

export type Change = (world: CombinedWorld) => void;

/** Tables by name. */
export class CombinedWorld {
  readonly members = new Map<string, Member>();

  clone(): CombinedWorld {
    const copy = new CombinedWorld();
    for (const [name, member] of this.members)
      copy.members.set(name, { ...member, oracle: member.oracle.clone() });
    return copy;
  }

  make(definition: TableDefinition): void {
    const { name, number } = definition;
    this.members.set(name, { number, definition, oracle: oracleOf(definition), step: 0, epoch: 0 });
  }

  push(name: string, keys: BigUint64Array, values: Float32Array, given: PushGiven): void {
    const member = this.members.get(name)!;
    member.oracle.push(keys, values, given);
    // A push whose keys were all withheld has written no row.
    if (keys.some((key) => member.oracle.rows.has(key))) member.step = Math.max(member.step, given.step);
  }

  assign(
    name: string,
    keys: BigUint64Array,
    values: Float32Array,
    state?: Float32Array,
    history?: OracleHistory,
    counters?: Readonly<Record<string, Float32Array>>,
  ): void {
    const member = this.members.get(name)!;
    member.oracle.assign(keys, values, state, history, counters);
    if (history) member.step = Math.max(member.step, ...history.lastStep);
  }

  decay(name: string): void {
    const member = this.members.get(name)!;
    member.oracle.decay();
    member.epoch++;
  }

  /** Takes out what was evicted; says what is wrong when it was not there. */
  evict(number: number, keys: readonly bigint[]): string | undefined {
    for (const { number: one, oracle } of this.members.values())
      if (one === number)
        return oracle.delete(keys) === keys.length
          ? undefined
          : `table ${number} lost rows that it never had`;
    return keys.length === 0 ? undefined : `table ${number}, which is not there, lost rows`;
  }

  /** As this world, but unlogged tables as they were in another, empty where that one had none of the same making. */
  withUnlogged(then: CombinedWorld): CombinedWorld {
    const copy = this.clone();
    for (const [name, { definition }] of this.members) {
      if (definition.logged) continue;
      copy.make(definition);
      const old = then.members.get(name);
      if (old?.number === definition.number) copy.members.set(name, { ...old, oracle: old.oracle.clone() });
    }
    return copy;
  }

  /** How a store differs, in words; undefined where every bit is equal. `progressOf` tells step and epoch where they are known. */
  async difference(
    store: Store,
    progressOf?: (name: string) => { highestStep: number; epoch: number },
  ): Promise<string | undefined> {
    const names = (await store.tables()).map(({ name }) => name);
    if (names.length !== this.members.size || names.some((name) => !this.members.has(name)))
      return `tables ${names.join(", ")}, expected ${[...this.members.keys()].join(", ")}`;
    for (const [name, { number, oracle, step, epoch }] of this.members) {
      const table = await store.table(name);
      if (table.options.number !== number) return `${name} is table ${table.options.number}, not ${number}`;
      const difference = await differenceFrom(oracle, table);
      if (difference !== undefined) return difference;
      const progress = progressOf?.(name);
      if (progress && (progress.highestStep !== step || progress.epoch !== epoch))
        return `${name}: step ${progress.highestStep}, epoch ${progress.epoch}, expected ${step} and ${epoch}`;
    }
    return undefined;
  }

  /** Rows added, removed and changed from another world to this one, table by table of those that both have. */
  countsSince(before: CombinedWorld): Map<string, { added: number; removed: number; changed: number }> {
    const counts = new Map<string, { added: number; removed: number; changed: number }>();
    for (const [name, { number, oracle }] of this.members) {
      const old = before.members.get(name);
      if (old?.number !== number) continue;
      let [added, changed] = [0, 0];
      for (const [key, row] of oracle.rows) {
        const was = old.oracle.rows.get(key);
        if (!was) added++;
        else if (
          row.frequency !== was.frequency ||
          row.lastStep !== was.lastStep ||
          differ(row.weights, was.weights) ||
          differ(row.state, was.state)
        )
          changed++;
      }
      const removed = [...old.oracle.rows.keys()].filter((key) => !oracle.rows.has(key)).length;
      counts.set(name, { added, removed, changed });
    }
    return counts;
  }
}

function differ(a: Float32Array, b: Float32Array): boolean {
  return a.some((value, i) => !Object.is(value, b[i]));
}

/** The first state from `least` changes on in which nothing differs, or how they differ. */
export async function firstOf(
  begin: CombinedWorld,
  changes: readonly Change[],
  least: number,
  difference: (world: CombinedWorld) => Promise<string | undefined>,
): Promise<{ world: CombinedWorld } | string> {
  const world = begin.clone();
  const found: string[] = [];
  for (let k = 0; k <= changes.length; k++) {
    if (k > 0) changes[k - 1](world);
    if (k < least) continue;
    const one = await difference(world);
    if (one === undefined) return { world };
    found.push(`state ${k} of ${changes.length}: ${one}`);
  }
  return found.join("\n");
}

/** States that something may be a copy of: a beginning, and the changes that may have followed. */
export interface Span {
  readonly begin: CombinedWorld;
  readonly changes: readonly Change[];
}

/** The state of a span that a version has. @throws where it has none */
export async function stateOfVersion(store: Store, name: string, span: Span): Promise<CombinedWorld> {
  const version = await store.openVersion(name);
  const found = await firstOf(span.begin, span.changes, 0, (world) => world.difference(version));
  if (typeof found === "string") throw new Error(`version ${name} is none of its states:\n${found}`);
  await version.close();
  return found.world;
}

/** @throws where something is wrong, in these words */
export function demand(wrong: string | undefined): void {
  if (wrong !== undefined) throw new Error(wrong);
}
