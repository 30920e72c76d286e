// One damaged store, repaired: what it then holds is what it held before, but for what was announced.
import { rmSync } from "node:fs";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { Prng } from "../../lib/base/prng.js";
import { openStore } from "../../lib/index.js";
import type { OracleRow } from "../../lib/kernel/oracle/oracle-table.js";
import { repairStore } from "../../lib/repair/repair-store.js";
import type { Loss } from "../../lib/repair/report.js";
import { verifyStore } from "../../lib/repair/verify-store.js";
import { tensorName, unloggedTable } from "../chaos/operations.js";
import type { Contents } from "../chaos/world.js";
import { damageFile } from "./damage.js";
import { type GuestRows, guestDifference, guestTable, type LostRows } from "./guest.js";
import {
  contentsOf,
  copyOf,
  fingerprint,
  type LivedStore,
  quietly,
  versionContents,
  worldAfter,
} from "./lived-store.js";
import { keysOfPages } from "./page-keys.js";

export type RepairOutcome = "whole" | "repaired" | "lossy" | "impossible";

/** Damages a copy of a store, one to three times, repairs it, and compares. Throws where something is gone unannounced. */
export async function repairCase(lived: LivedStore, seed: number): Promise<RepairOutcome> {
  const random = new Prng(seed * 7919 + 1);
  const directory = copyOf(lived, `repair-${seed}`);
  const damages: string[] = [];
  for (let times = 1 + random.below(3); times > 0; times--) damages.push(damageFile(directory, random));
  const what = `SEED=${seed} (store ${lived.seed}): ${damages.join("; ")}`;
  let outcome: RepairOutcome | undefined;
  try {
    const careful = await repairStore(directory);
    if (careful.status === "refused") assert.ok(careful.losses.length > 0, what);
    const report =
      careful.status === "refused" ? await repairStore(directory, { acceptLoss: true }) : careful;
    outcome = report.status === "whole" ? "whole" : report.losses.length > 0 ? "lossy" : "repaired";
    const said = `${what}: ${JSON.stringify(report.losses)}`;
    const after = await verifyStore(directory);
    assert.is(after.status, "ok", `${said}: still ${JSON.stringify(after.findings)}`);
    await compare(lived, directory, report.losses, said);
    if (report.original) rmSync(report.original, { recursive: true });
  } catch (error) {
    if (!(error instanceof EmbershardError)) throw error;
    assert.ok(
      ["CORRUPT", "NEWER_FORMAT", "SHARD_COUNT", "NOT_A_STORE"].includes(error.code),
      `${what}: ${error.stack}`,
    );
    assert.is(outcome, undefined, `${what}: said to be ${outcome}, and then: ${error.message}`);
    outcome = "impossible";
  }
  rmSync(directory, { recursive: true, force: true });
  return outcome;
}

async function compare(
  lived: LivedStore,
  directory: string,
  losses: readonly Loss[],
  said: string,
): Promise<void> {
  const { contents: found, guest } = await contentsOf(directory);
  const records = losses.find(({ kind }) => kind === "records");
  const unlogged = losses.some(({ kind }) => kind === "checkpoint");
  const last = records ? records.lsns!.from - 1 : lived.lsns.at(-1)!;
  const pages = losses.filter(({ kind }) => kind === "page");
  const lostKeys = pages.length > 0 ? await keysOfPages(lived, pages) : new Map<string, Set<bigint>>();
  // A suffix beyond the durable mark may be gone unannounced.
  const whole = lived.lsns.findLastIndex((lsn) => lsn <= last);
  const ends = [{ end: whole, between: whole }];
  // What goes on in the background has records, too: that of the next operation may be among those before.
  if (lived.lsns[whole] < last) ends.push({ end: whole + 1, between: whole });
  if (!records) for (let i = whole - 1; i >= lived.durable; i--) ends.push({ end: i, between: i });
  const reasons: string[] = [];
  for (const { end, between } of ends) {
    const difference =
      (await differenceFrom(
        lived,
        end,
        found,
        lostKeys,
        unlogged || pages.length > 0 || records !== undefined,
      )) ?? guestDifferenceFrom(lived, between, guest, lostRows(losses, lostKeys.get(guestTable)));
    if (difference === undefined) return compareVersions(lived, directory, losses, said);
    reasons.push(`after ${end}: ${difference}`);
  }
  throw new Error(`${said}: ${reasons.slice(0, 2).join("; ")}`);
}

/** How contents differ from what the store held after an operation, but for lost keys and, if so told, the unlogged table. */
async function differenceFrom(
  lived: LivedStore,
  end: number,
  found: Contents,
  lostKeys: ReadonlyMap<string, ReadonlySet<bigint>>,
  ignoreUnlogged: boolean,
): Promise<string | undefined> {
  const expected = worldAfter(lived, end).rows();
  const names = new Set([...expected.keys(), ...found.tables.keys()]);
  for (const name of names) {
    if (name === guestTable) continue;
    if (name === tensorName) {
      const difference = tensorDifference(expected.get(name)!, found.tensor, lostKeys.get(name));
      if (difference) return difference;
      continue;
    }
    if (name === unloggedTable) {
      // The oracle does not know checkpoints: the store itself says what it was.
      if (ignoreUnlogged) continue;
      const whole = (await contentsOf(copyOf(lived, "expected"))).contents;
      const one = (contents: Contents) =>
        fingerprint({
          tables: new Map([...contents.tables].filter(([table]) => table === name)),
          tensor: undefined,
        });
      if (one(whole) !== one(found)) return `table ${name} differs`;
      continue;
    }
    const [before, now] = [expected.get(name), found.tables.get(name)?.rows];
    if (!before || !now) return `table ${name} ${before ? "is gone" : "should not be"}`;
    const lost = lostKeys.get(name) ?? new Set<bigint>();
    for (const [key, row] of before) {
      if (lost.has(key)) continue;
      const there = now.get(key);
      if (!there) return `table ${name}: key ${key} is gone`;
      if (!same(row, there)) return `table ${name}: key ${key} differs`;
    }
    for (const key of now.keys()) if (!before.has(key)) return `table ${name}: key ${key} should not be`;
  }
  return undefined;
}

/** Rows of the guest that were lost with pages, and cold ones. */
function lostRows(losses: readonly Loss[], onPages: ReadonlySet<bigint> = new Set()): LostRows {
  const cold = losses.filter(({ kind, tables }) => kind === "cold row" && tables?.includes(guestTable));
  const keys = new Set([...onPages, ...cold.flatMap((loss) => loss.keys!.map(BigInt))]);
  return { keys, others: cold.reduce((sum, { rows }) => sum + rows!, 0) };
}

/** The log ends between an operation and the next one, where something may have been done to the other table. */
function guestDifferenceFrom(
  { guests, lsns }: LivedStore,
  end: number,
  found: GuestRows | undefined,
  lost: LostRows,
): string | undefined {
  let reason: string | undefined;
  for (const [i, { lsn, rows }] of guests.entries()) {
    if (lsn > (lsns[end + 1] ?? Number.POSITIVE_INFINITY)) break;
    if ((guests[i + 1]?.lsn ?? Number.POSITIVE_INFINITY) <= lsns[end]) continue;
    reason = guestDifference(rows, found, lost);
    if (reason === undefined) return undefined;
  }
  return reason && `table ${guestTable}: ${reason}`;
}

/** Each version is as it was, or was said to be gone. */
async function compareVersions(
  lived: LivedStore,
  directory: string,
  losses: readonly Loss[],
  said: string,
): Promise<void> {
  if (lived.versions.size === 0) return;
  const store = await openStore(directory, { ...quietly, create: false });
  try {
    const there = (await store.versions()).map(({ name }) => name);
    for (const [name, expected] of lived.versions) {
      if (losses.some(({ kind, version }) => kind === "version" && version === name)) continue;
      // Where the list of versions is damaged, too, nothing tells that there was one.
      if (!there.includes(name) && said.includes("VERSIONS")) continue;
      assert.ok(there.includes(name), `${said}: version ${name} is gone, there are ${there}`);
      const version = await store.openVersion(name);
      const { contents, guest } = await versionContents(version);
      await version.close();
      assert.ok(contents === expected.contents, `${said}: version ${name} differs`);
      assert.is(guestDifference(expected.guest, guest), undefined, `${said}: version ${name}, ${guestTable}`);
    }
  } finally {
    await store.close();
  }
}

function tensorDifference(
  blocks: ReadonlyMap<bigint, Readonly<OracleRow>>,
  found: Float32Array | undefined,
  lost: ReadonlySet<bigint> = new Set(),
): string | undefined {
  for (const [key, { weights }] of blocks) {
    if (lost.has(key)) continue;
    const begin = Number(key) * weights.length;
    const there = found?.subarray(begin, begin + weights.length);
    if (!there || there.some((value, i) => !Object.is(value, weights[i])))
      return `tensor: block ${key} differs`;
  }
  return undefined;
}

function same(a: OracleRow, b: OracleRow): boolean {
  const bits = ({ weights, state }: OracleRow) =>
    Buffer.concat([Buffer.from(weights.slice().buffer), Buffer.from(state.slice().buffer)]);
  return a.frequency === b.frequency && a.lastStep === b.lastStep && bits(a).equals(bits(b));
}
