import { readdir, rename, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { openStore } from "../embedded/open-store.js";
import { encodeManifest, type Manifest, manifestKey } from "../shard/manifest.js";
import { writeVersionRoll } from "../shard/version-roll.js";
import { demandClosed, directoryOf } from "./access.js";
import { syncFolder } from "./backup-directory.js";
import { readValue } from "./backup-store.js";
import { coldValuesOf, demandOnlyCold, settleColdRows } from "./cold-salvage.js";
import { mayHaveColdRows } from "./cold-tables.js";
import { type Examination, examine, imagesOf } from "./examination.js";
import { demandOneShard, identify } from "./identification.js";
import { LogChain } from "./log-chain.js";
import { followLog } from "./log-inventory.js";
import { demandWanted, type StoredEntry } from "./page-inventory.js";
import { RecordSalvage } from "./record-salvage.js";
import type { Loss, RepairProgress, RepairReport } from "./report.js";
import { planSalvage, type SalvagePlan } from "./salvage-plan.js";
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
 * anything changes nothing and says what would be lost.
 *
 * @throws CORRUPT when there is nothing to begin with; UNSUPPORTED when it has tables larger than their memory, and more is damaged than their cold rows; NOT_A_STORE, NEWER_FORMAT, SHARD_COUNT, LOCKED, OUT_OF_MEMORY, IO, ABORTED:
 *   the store is as it was
 */
export async function repairStore(store: string, options: RepairOptions = {}): Promise<RepairReport> {
  const directory = directoryOf(store);
  await finishSwap(directory);
  await demandNotOpen(directory);
  const said = await identify(directory);
  demandOneShard(directory, said);
  const found = await examine(directory, { ...options, said, remains: true });
  try {
    const findings = judge(found);
    const began = { directory, findings, losses: [], original: null };
    if (findings.every(({ severity }) => severity === "note")) return { ...began, status: "whole" };
    const chain = await LogChain.find(
      filesIn(join(directory, logFolder(found.shard))),
      found.log,
      found.logIdentity,
    );
    const plan = await planOrRefuse(found, chain);
    const salvage = new RecordSalvage(plan);
    // Twice: what is lost is known before anything is made.
    for await (const _ of salvage.records(chain)) demandWanted(options.signal);
    const versions = versionsOf(found);
    const losses = [...lossesOf(plan, found), ...versions.losses, ...salvage.losses()];
    const repaired = `${directory}.repairing`;
    const refused = () => losses.length > 0 && !options.acceptLoss;
    const hasCold = mayHaveColdRows(found);
    if (hasCold) demandOnlyCold(found, plan, losses);
    else if (refused()) return { ...began, status: "refused", losses };
    await rm(repaired, { recursive: true, force: true });
    const cold = await coldValuesOf(found);
    await build(repaired, found, plan, [...versions.entries, ...cold.whole], chain, options.signal);
    try {
      // Which values count only the store that they are in can tell.
      if (hasCold) losses.push(...(await settleColdRows(repaired, found, cold.damaged)));
      if (refused()) {
        await rm(repaired, { recursive: true, force: true });
        return { ...began, status: "refused", losses };
      }
    } catch (error) {
      await rm(repaired, { recursive: true, force: true });
      throw error;
    }
    await prove(repaired);
    return { ...began, status: "repaired", losses, original: await swap(directory, repaired) };
  } finally {
    await found.levelFiles.close();
  }
}

async function demandNotOpen(directory: string): Promise<void> {
  const { ownerPid } = await import("../embedded/control-client.js");
  const pid = await ownerPid(directory);
  if (pid !== undefined)
    throw new EmbershardError(
      "LOCKED",
      `${directory} is open in the process with pid ${pid}: close it there`,
    );
  await demandClosed(directory);
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
        message: `version "${name}" is gone: ${images.length - whole.length} of its ${images.length} pages are damaged`,
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
  if (!markFileWhole && segments.at(-1)?.marked !== true)
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
  directory: string,
  found: Examination,
  plan: SalvagePlan,
  versions: readonly StoredEntry[],
  chain: LogChain,
  signal: AbortSignal | undefined,
): Promise<void> {
  const manifest = manifestOf(plan, versions, found.promised);
  const builder = await StoreBuilder.begin(directory, {
    identity: found.said.mended,
    replayLsn: plan.from - 1,
    generation: manifest?.generation ?? 0,
  });
  try {
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
      await writeVersionRoll(filesIn(join(directory, logFolder(found.shard))), found.logIdentity, names);
    await builder.finish();
  } catch (error) {
    await builder.abandon();
    throw error;
  }
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
  const store = await openStore(directory, { create: false, checkpoint: false, control: false });
  await store.close();
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
  const repaired = `${directory}.repairing`;
  const names: string[] = await readdir(repaired).catch(() => []);
  if (!names.includes("store") || names.includes("creating")) return;
  await rename(repaired, directory);
  await syncFolder(dirname(directory));
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
