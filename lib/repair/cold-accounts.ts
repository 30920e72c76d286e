// What manifest and log say of cold rows: how many there are where a salvage ends, and what became of the keys that records name.
import type { TableDefinition } from "../api/table-definition.js";
import { MAX_PAGES, PAGE_BYTES } from "../kernel/layout.js";
import { ArenaSet } from "../shard/arena-set.js";
import { beginColdRows, replayCold } from "../shard/cold-replay.js";
import type { ColdRows } from "../shard/cold-rows.js";
import type { Manifest } from "../shard/manifest.js";
import { decodeJson, decodeRows, RECORD, SECTION, type Section } from "../shard/records.js";
import { addTable, beginRecovered, type Recovered, tableOf } from "../shard/recovered.js";
import type { LogChain } from "./log-chain.js";

/** Of a table with a limit of memory, as of the last record that can be had. */
export interface ColdAccount {
  readonly definition: TableDefinition;
  /** How many rows are cold, their digest, and keys whose values count no more. */
  readonly cold: ColdRows;
  /** Keys that a record made cold, and none since has named otherwise, with its LSN. */
  readonly demoted: Map<bigint, number>;
  /** Keys whose rows records have changed, with the LSN of the last one. */
  readonly changed: Map<bigint, number>;
}

/** By the number of the table. */
export type ColdAccounts = ReadonlyMap<number, ColdAccount>;

const changingKinds: ReadonlySet<number> = new Set<number>([
  SECTION.push,
  SECTION.create,
  SECTION.assign,
  SECTION.assignState,
  SECTION.assignHistory,
  SECTION.assignStateHistory,
]);

/** Reads the records of a manifest's tables up to `to`, exclusive, which can be had. @throws IO */
export async function accountCold(
  manifest: Manifest | undefined,
  chain: LogChain,
  to: number,
): Promise<ColdAccounts> {
  const arenas = newArenas();
  arenas.add();
  const recovered = beginRecovered(arenas, manifest);
  beginColdRows(recovered);
  const accounts = new Map<number, ColdAccount>();
  for await (const { type, lsn, payload } of chain.records((manifest?.replayLsn ?? 0) + 1, to)) {
    const known = lsn <= (manifest?.lsn ?? 0);
    if (type === RECORD.define && !known) addTable(recovered, decodeJson(payload));
    if (type === RECORD.drop && !known) drop(recovered, decodeJson(payload) as { number: number });
    if (type !== RECORD.rows) continue;
    for (const section of decodeRows(payload)?.parts ?? []) {
      const table = tableOf(recovered, section.table);
      if (!table) continue;
      replayCold(recovered, section, table, lsn);
      const cold = recovered.cold.get(section.table);
      if (cold) note(accountOf(accounts, cold), section, lsn);
    }
  }
  for (const cold of recovered.cold.values()) accountOf(accounts, cold);
  for (const number of accounts.keys()) if (!recovered.cold.has(number)) accounts.delete(number);
  return accounts;
}

/** Arenas to work in, as large as can be. */
export function newArenas(): ArenaSet {
  return new ArenaSet({ limitBytes: MAX_PAGES * PAGE_BYTES, hugePages: "off" });
}

function drop(recovered: Recovered, { number }: { number: number }): void {
  const table = tableOf(recovered, number);
  if (!table) return;
  recovered.tables.delete(table.definition.name);
  recovered.cold.delete(number);
}

function accountOf(accounts: Map<number, ColdAccount>, cold: ColdRows): ColdAccount {
  const { definition } = cold.table;
  let account = accounts.get(definition.number);
  if (account?.cold !== cold) {
    account = { definition, cold, demoted: new Map(), changed: new Map() };
    accounts.set(definition.number, account);
  }
  return account;
}

function note({ demoted, changed }: ColdAccount, { kind, n, keys, values }: Section, lsn: number): void {
  if (kind === SECTION.evictCold) {
    const view = new DataView(values.buffer, values.byteOffset, values.length);
    for (let at = 8; at + 8 <= values.length; at += 8) demoted.delete(view.getBigUint64(at, true));
    return;
  }
  const view = new DataView(keys.buffer, keys.byteOffset, 8 * n);
  for (let i = 0; i < n; i++) {
    const key = view.getBigUint64(8 * i, true);
    if (kind === SECTION.demote) demoted.set(key, lsn);
    else demoted.delete(key);
    if (changingKinds.has(kind)) changed.set(key, lsn);
  }
}
