import { rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { eachClosedShard } from "../directory/closed-shards.js";
import { isRepaired, repairedBeside } from "../directory/replacing.js";
import { encodeManifest, type Manifest, manifestKey } from "../shard/manifest.js";
import { writeVersionRoll } from "../shard/version-roll.js";
import { brokenHeader } from "../store/durable-mark.js";
import { directoryOf } from "./access.js";
import { syncFolder } from "./backup-directory.js";
import { readValue } from "./backup-store.js";
import { demandNotOpen, demandUntouched, looksOf } from "./closed-files.js";
import { accountCold } from "./cold-accounts.js";
import { isRollingBack, settleColdRows, wholeColdValues } from "./cold-salvage.js";
import { mayHaveColdRows } from "./cold-tables.js";
import { type Examination, examine, examineShards, imagesOf } from "./examination.js";
import { identify } from "./identification.js";
import { LogChain } from "./log-chain.js";
import { followLog } from "./log-inventory.js";
import { keysOf, PageHints } from "./page-hints.js";
import { demandWanted, type StoredEntry } from "./page-inventory.js";
import { RecordSalvage, type ToldPage } from "./record-salvage.js";
import type { Finding, Loss, RepairProgress, RepairReport } from "./report.js";
import { planSalvage, type SalvagePlan } from "./salvage-plan.js";
import { copyShard } from "./shard-copy.js";
import { filesIn, logFolder } from "./shard-files.js";
import { StoreBuilder } from "./store-builder.js";
import { imageFault, judge, tablesOf } from "./verification.js";
import { verifyStore } from "./verify-store.js";

export interface RepairOptions {
  /** Repair also what cannot be repaired without losing rows or pushes, which the report names. Default false. */
  readonly acceptLoss?: boolean;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((progress: RepairProgress) => void) | undefined;
}

/**
 * Makes a damaged store, which nobody has open, whole again: of what is whole in it, in a directory of its own that
 * takes the place of the damaged one, which is kept under another name. Without `acceptLoss` a repair that would lose
 * anything changes nothing and says what would be lost. Whether cold rows are all there is known only when they have been put
 * together with the others: a shard that may have some is made anew for that, also where nothing is seen to be wrong.
 *
 * @throws CORRUPT when there is nothing to begin with; NOT_A_STORE, NEWER_FORMAT, LOCKED, OUT_OF_MEMORY, IO, ABORTED:
 *   the store is as it was
 */
export async function repairStore(store: string, options: RepairOptions = {}): Promise<RepairReport> {
  const directory = directoryOf(store);
  await finishSwap(directory);
  await demandNotOpen(directory);
  const said = await identify(directory);
  const before = await looksOf(directory);
  if (said.miscounted)
    throw new EmbershardError(
      "CORRUPT",
      `${directory} cannot be repaired: ${said.fault?.message}. How many shards it had nobody knows`,
    );
  const looked = { ...options, said, remains: true };
  const judged = await examineShards(directory, looked, (found) => {
    const findings = judge(found);
    return { findings, usable: isWhole(findings) && !mayHaveColdRows(found) };
  });
  const findings = judged.flatMap((shard) => shard.findings);
  const began = { directory, findings, losses: [], original: null };
  const sound = findings.every(({ severity }) => severity === "note");
  if (sound && judged.every(({ usable }) => usable)) return { ...began, status: "whole" };
  const repaired = repairedBeside(directory);
  await rm(repaired, { recursive: true, force: true });
  const losses: Loss[] = [];
  const builder = await StoreBuilder.begin(repaired, said.mended);
  try {
    const { signal, acceptLoss = false } = options;
    for (const [i, shard] of said.shards.entries()) {
      if (judged[i].usable) {
        await copyShard(directory, repaired, shard);
        continue;
      }
      const found = await examine(directory, { signal, said, shard, remains: true });
      try {
        const some = await repairShard(found, builder, { signal, acceptLoss });
        losses.push(...(said.shards.length > 1 ? some.map((loss) => ofShard(loss, shard)) : some));
      } finally {
        await found.levelFiles.close();
      }
    }
    if (losses.length > 0 ? !acceptLoss : sound) {
      await rm(repaired, { recursive: true, force: true });
      return { ...began, status: sound && losses.length === 0 ? "whole" : "refused", losses };
    }
    await builder.finish();
    await prove(repaired);
    await demandUntouched(directory, before);
  } catch (error) {
    await rm(repaired, { recursive: true, force: true });
    throw error;
  }
  return { ...began, status: "repaired", losses, original: await swap(directory, repaired) };
}

/** Whether nothing is seen to be wrong with a shard's files. What is wrong with the file `store` is told with the first shard. */
function isWhole(findings: readonly Finding[]): boolean {
  return findings.every(({ severity, part }) => severity === "note" || part === "identity");
}

function ofShard(loss: Loss, shard: number): Loss {
  return { ...loss, shard, message: `shard ${shard}: ${loss.message}` };
}

/**
 * Makes a shard of what is whole in it, and gives what is lost. Where that is refused it is made only if what is lost is known
 * then: which cold rows are.
 *
 * @throws CORRUPT, OUT_OF_MEMORY, IO, ABORTED
 */
async function repairShard(
  found: Examination,
  builder: StoreBuilder,
  { signal, acceptLoss }: { readonly signal: AbortSignal | undefined; readonly acceptLoss: boolean },
): Promise<Loss[]> {
  const { directory, shard } = found;
  const chain = await LogChain.find(filesIn(join(directory, logFolder(shard))), found.log, found.logIdentity);
  const plan = await planOrRefuse(found, chain);
  const salvage = new RecordSalvage(plan, await toldPages(found, plan));
  // Twice: what is lost is known before anything is made.
  for await (const _ of salvage.records(chain)) demandWanted(signal);
  const versions = versionsOf(found);
  const losses = [...lossesOf(plan, found), ...versions.losses, ...salvage.losses()];
  const hasCold = mayHaveColdRows(found, plan);
  if (!hasCold && losses.length > 0 && !acceptLoss) return losses;
  const asTheyAre = !hasCold || isRollingBack(plan) ? wholeColdValues(found) : [];
  await build(builder, found, plan, [...versions.entries, ...asTheyAre], chain, signal);
  if (!hasCold || isRollingBack(plan)) return losses;
  // Which values count only the store that they are in can tell.
  const accounts = await accountCold(plan.manifest, chain, plan.goodLsn);
  const lostKeys = salvage.lostKeys();
  losses.push(...(await settleColdRows(builder.directory, { found, plan, accounts, lostKeys })));
  return losses;
}

/** What is told of each page that is lost. */
async function toldPages({ pages }: Examination, plan: SalvagePlan): Promise<(ToldPage | undefined)[]> {
  const hints = new PageHints(pages, tablesOf(plan.manifest));
  const told: (ToldPage | undefined)[] = [];
  for (const page of plan.lost) {
    const hint = hints.of(page);
    told.push(hint && { hint, keys: await keysOf(hint) });
  }
  return told;
}

async function planOrRefuse(found: Examination, chain: LogChain): Promise<SalvagePlan> {
  const { log } = found;
  const from = log.segments[0]?.firstLsn ?? 1;
  const { lastLsn, damaged, goodLsn } = followLog(log, from);
  // A torn end that nobody was promised is no loss.
  const promised = damaged ? lastLsn : Math.max(goodLsn - 1, log.mark?.lsn ?? 0);
  const plan = await planSalvage(found, chain, promised);
  if (plan && (found.said.identity || log.segments.length > 0)) return plan;
  throw new EmbershardError(
    "CORRUPT",
    `${found.directory} cannot be repaired: no checkpoint in it can be completed, and its log does not begin at the beginning. Restore a backup; \`embershard verify\` says what is damaged`,
  );
}

/** Versions that are whole, with their images, and those that are not. */
function versionsOf(found: Examination): { entries: StoredEntry[]; losses: Loss[] } {
  const entries: StoredEntry[] = [];
  const losses: Loss[] = [];
  for (const [entry] of found.pages.entries.values()) {
    if (entry.key[0] !== 2 || entry.deletion) continue;
    const name = new TextDecoder().decode(entry.key.subarray(1));
    if (entry.proof.kind !== "version") {
      losses.push({
        kind: "version",
        version: name,
        message: `version "${name}" is gone: its manifest is damaged`,
      });
      continue;
    }
    const tables = tablesOf(entry.proof.manifest);
    const images = [...imagesOf(found.pages, entry.proof.manifest)].map((one) => one.entry);
    const whole = images.filter((image) => image !== undefined && imageFault(image, tables) === undefined);
    if (whole.length === images.length) entries.push(entry, ...(whole as StoredEntry[]));
    else
      losses.push({
        kind: "version",
        version: name,
        message: `version "${name}" is gone: ${images.length - whole.length} of its ${images.length} pages ${images.length - whole.length === 1 ? "is" : "are"} damaged`,
      });
  }
  const known = new Set([
    ...losses.map(({ version }) => version),
    ...entries.map(({ proof }) => (proof.kind === "version" ? proof.name : undefined)),
  ]);
  for (const name of found.roll.names.filter((one) => !known.has(one)))
    losses.push({
      kind: "version",
      version: name,
      message: `version "${name}" is gone: its manifest is missing`,
    });
  return { entries, losses };
}

/** What the plan gives up, but for rows of lost pages. */
function lossesOf({ manifest, goodLsn, lastLsn }: SalvagePlan, { promised, log }: Examination): Loss[] {
  const losses: Loss[] = [];
  const generation = manifest?.generation ?? 0;
  const unlogged = (manifest?.tables ?? []).filter(({ logged }) => !logged).map(({ name }) => name);
  if (generation < promised)
    losses.push({
      kind: "checkpoint",
      tables: unlogged,
      message: `checkpoint ${promised} is gone; unlogged tables are those of checkpoint ${generation}, or empty`,
    });
  const { markFileWhole, segments } = log;
  if (!markFileWhole && (segments.length === 0 || brokenHeader(segments)))
    losses.push({
      kind: "records",
      lsns: { from: goodLsn, to: Math.max(goodLsn, lastLsn) },
      message: `both places of the durable mark are damaged: whether anything was logged from LSN ${goodLsn} on nobody knows`,
    });
  else if (goodLsn <= lastLsn)
    losses.push({
      kind: "records",
      lsns: { from: goodLsn, to: lastLsn },
      message: `everything that was logged from LSN ${goodLsn} to ${lastLsn} is gone: what survives is a prefix`,
    });
  return losses;
}

async function build(
  store: StoreBuilder,
  found: Examination,
  plan: SalvagePlan,
  versions: readonly StoredEntry[],
  chain: LogChain,
  signal: AbortSignal | undefined,
): Promise<void> {
  const manifest = manifestOf(plan, versions, found.promised);
  const { shard, logIdentity } = found;
  const shardPlan = { shard, replayLsn: plan.from - 1, generation: manifest?.generation ?? 0 };
  await store.shard(shardPlan, async (builder) => {
    const put = new Set<string>();
    const older = plan.mended.map(({ image }) => image).filter((image) => image !== undefined);
    for (const entry of [...plan.images, ...older, ...versions]) {
      demandWanted(signal);
      const id = Buffer.from(entry.key).toString("hex");
      if (!put.has(id)) await builder.put(entry.key, await readValue(entry));
      put.add(id);
    }
    if (manifest) await builder.put(manifestKey, encodeManifest(manifest));
    for await (const { type, flags, payload } of new RecordSalvage(plan).records(chain)) {
      demandWanted(signal);
      await builder.append(type, flags, payload);
    }
    const names = versions.flatMap(({ proof }) => (proof.kind === "version" ? [proof.name] : []));
    if (names.length > 0)
      await writeVersionRoll(filesIn(join(store.directory, logFolder(shard))), logIdentity, names);
  });
}

/** The manifest of what was salvaged. Its generation is beyond that of everything in the store: numbers are not used twice. */
function manifestOf(
  { manifest, mended, lost, from }: SalvagePlan,
  versions: readonly StoredEntry[],
  promised: number,
): Manifest | undefined {
  if (!manifest) return undefined;
  const { version: _version, imageBytes: _bytes, ...plain } = manifest;
  const pages = manifest.pages.map((generations) => generations.slice());
  for (const { arena, page, image } of [...mended, ...lost])
    pages[arena][page] = image?.proof.kind === "page" ? image.proof.header.generation : 0;
  for (const { arena, page } of lost) pages[arena][page] = 0;
  const generations = versions.map(({ proof }) => (proof.kind === "version" ? proof.manifest.generation : 0));
  return {
    ...plain,
    pages,
    replayLsn: from - 1,
    generation: Math.max(manifest.generation, promised, ...generations),
  };
}

/** Demands that the store opens and verifies. @throws CORRUPT, OUT_OF_MEMORY, IO */
async function prove(directory: string): Promise<void> {
  await eachClosedShard(directory, () => undefined);
  const { findings } = await verifyStore(directory);
  const [first] = findings.filter(({ severity }) => severity !== "note");
  if (first)
    throw new EmbershardError("INTERNAL", `the repaired store is damaged: ${first.file}: ${first.message}`);
}

/** Puts the repaired store in the place of the damaged one, and gives the name under which that is kept. */
async function swap(directory: string, repaired: string): Promise<string> {
  const time = new Date().toISOString().replace(/[-:]|\..*/g, "");
  let original = `${directory}.damaged-${time}`;
  for (let i = 2; await exists(original); i++) original = `${directory}.damaged-${time}-${i}`;
  await rename(directory, original);
  await rename(repaired, directory);
  await syncFolder(dirname(directory));
  return original;
}

/** Ends a repair that was killed between the two renames. */
async function finishSwap(directory: string): Promise<void> {
  if (await exists(directory)) return;
  const repaired = repairedBeside(directory);
  if (!(await isRepaired(repaired))) return;
  await rename(repaired, directory);
  await syncFolder(dirname(directory));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
