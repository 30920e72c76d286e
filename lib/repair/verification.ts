// Judges what an examination has found: what is wrong, where, and what it affects.
import { join } from "node:path";
import { parseDefinition } from "../api/table-definition.js";
import type { EmbershardError } from "../base/errors.js";
import { decodeColdKey, decodeKeptKey } from "../shard/cold-values.js";
import type { Manifest } from "../shard/manifest.js";
import { manifestKey } from "../shard/manifest.js";
import { encodeVersionKey } from "../shard/version.js";
import { rollFileName } from "../shard/version-roll.js";
import { brokenHeader, markFileName } from "../store/durable-mark.js";
import { segmentName } from "../store/log-format.js";
import type { ArenaTable } from "../table/arena-table.js";
import { makeTable, parts } from "../table/candidates.js";
import { type Examination, imagesOf, type NamedImage } from "./examination.js";
import { followLog } from "./log-inventory.js";
import { PageHints } from "./page-hints.js";
import { currentEntry, isCold, type PageInventory, type StoredEntry } from "./page-inventory.js";
import type { Affected, Finding, Part, Severity } from "./report.js";
import { logFolder, pagesFolder } from "./shard-files.js";
import { describeKey } from "./stored-values.js";

/**
 * Everything wrong with a shard; what is wrong with the store as a whole is told of the first one. Of a log that was not read
 * nothing is said.
 */
export function judge(found: Examination): Finding[] {
  const findings: Finding[] = [];
  const { said, shard } = found;
  if (said.fault && shard === said.shards[0]) findings.push(identityFinding(said.fault));
  const manifestEntry = currentEntry(found.pages, manifestKey);
  const manifest = manifestEntry?.proof.kind === "manifest" ? manifestEntry.proof.manifest : undefined;
  const tables = tablesOf(manifest);
  const images = imageLists(found.pages);
  judgeFiles(found, findings);
  judgeManifest(found, manifestEntry, manifest, findings);
  if (manifest) judgeImages(images(manifest), tables, found, findings);
  judgeVersions(found, images, findings);
  judgeCold(found, tables, findings);
  judgeRemains(found, manifest, images, findings);
  if (found.log.read) judgeLog(found, manifest, findings);
  return findings;
}

function finding(
  severity: Severity,
  part: Part,
  file: string,
  message: string,
  more: { offset?: number | undefined; what?: string; affects?: Affected } = {},
): Finding {
  const { offset, what, affects = {} } = more;
  return { severity, part, file, offset, what, message, affects };
}

function identityFinding({ message }: EmbershardError): Finding {
  return finding("damage", "identity", "store", message, { affects: {} });
}

/** Tables by number, and candidates of those that have some by theirs. */
export function tablesOf(manifest: Manifest | undefined): Map<number, ArenaTable> {
  return new Map(
    (manifest?.tables ?? [])
      .flatMap((json) => parts(makeTable([0, 0], parseDefinition(json))))
      .map((table) => [table.definition.number, table]),
  );
}

function judgeFiles({ pages, shard }: Examination, findings: Finding[]): void {
  for (const { file, offset, reason, crash } of pages.defects)
    findings.push(
      finding(crash ? "note" : "harmless", "page store", join(pagesFolder(shard), file), reason, { offset }),
    );
  // Whether a defect of a file costs anything is seen by what is missing; only what LevelDB opens by is needed itself.
  for (const [i, { file, severity }] of findings.entries()) {
    if (severity === "harmless" && /(CURRENT|MANIFEST-\d+|\.ldb)$/.test(file))
      findings[i] = { ...findings[i], severity: "damage" };
  }
}

function judgeManifest(
  { promised, shard }: Examination,
  entry: StoredEntry | undefined,
  manifest: Manifest | undefined,
  findings: Finding[],
): void {
  const folder = pagesFolder(shard);
  const file = entry ? join(folder, entry.file.name) : folder;
  const all = { affects: { lsns: undefined } };
  if (entry && !manifest) {
    const reason = entry.proof.kind === "damaged" ? entry.proof.reason : "it is no manifest";
    findings.push(
      finding("damage", "manifest", file, `${reason}: which pages are current is not known`, {
        offset: entry.offset,
        ...all,
      }),
    );
  } else if ((manifest?.generation ?? 0) < promised) {
    const has = manifest ? `checkpoint ${manifest.generation}` : "no checkpoint";
    findings.push(
      finding(
        "damage",
        "manifest",
        file,
        `checkpoint ${promised} was durable, the page store has ${has}`,
        all,
      ),
    );
  }
}

type ImageLists = (manifest: Manifest) => readonly NamedImage[];

/** Gives what each manifest names, looked up once. */
function imageLists(pages: PageInventory): ImageLists {
  const known = new Map<Manifest, readonly NamedImage[]>();
  return (manifest) => {
    const images = known.get(manifest) ?? [...imagesOf(pages, manifest)];
    known.set(manifest, images);
    return images;
  };
}

/** Demands each page of a manifest. */
function judgeImages(
  images: readonly NamedImage[],
  tables: ReadonlyMap<number, ArenaTable>,
  { pages, shard, version }: Pick<Examination, "pages" | "shard"> & { readonly version?: string },
  findings: Finding[],
): void {
  const folder = pagesFolder(shard);
  const hints = new PageHints(pages, tables);
  for (const { arena, page, generation, entry } of images) {
    const what = `page ${page} of arena ${arena}, generation ${generation}`;
    const fault = entry && imageFault(entry, tables);
    if (entry && fault === undefined) continue;
    const hint = hints.of({ arena, page, generation });
    const affects = {
      ...(hint && { tables: [hint.table.definition.name], rows: hint.rows }),
      ...(version !== undefined && { versions: [version] }),
    };
    if (!entry || fault === undefined) {
      const more = { what, affects };
      findings.push(finding("damage", version ? "version" : "page", folder, "it is missing", more));
      continue;
    }
    findings.push(
      finding("damage", version ? "version" : "page", join(folder, entry.file.name), fault, {
        offset: entry.offset,
        what,
        affects,
      }),
    );
  }
}

/** Why a current image cannot be used; undefined when it can. */
export function imageFault(
  { proof }: StoredEntry,
  tables: ReadonlyMap<number, ArenaTable>,
): string | undefined {
  if (proof.kind === "damaged") return proof.reason;
  if (proof.kind !== "page") return "it is not the image of a page";
  const { table: number, recordBytes, places } = proof.header;
  const table = tables.get(number);
  if (!table || table.recordBytes !== recordBytes || places > table.rowsPerPage)
    return `it is of table number ${number}, which does not exist like that`;
  return undefined;
}

function judgeVersions(found: Examination, images: ImageLists, findings: Finding[]): void {
  judgeRoll(found, findings);
  const { shard } = found;
  for (const [entry] of found.pages.entries.values()) {
    if (entry.key[0] !== 2 || entry.deletion || !entry.file.current) continue;
    const name = new TextDecoder().decode(entry.key.subarray(1));
    const file = join(pagesFolder(shard), entry.file.name);
    if (entry.proof.kind === "version")
      judgeImages(
        images(entry.proof.manifest),
        tablesOf(entry.proof.manifest),
        { ...found, version: name },
        findings,
      );
    else if (entry.proof.kind === "damaged")
      findings.push(
        finding("damage", "version", file, entry.proof.reason, {
          offset: entry.offset,
          what: describeKey(entry.key),
          affects: { versions: [name] },
        }),
      );
  }
}

/** Demands each version that there should be. */
function judgeRoll({ pages, roll, shard }: Examination, findings: Finding[]): void {
  if (!roll.whole) {
    const message = "it is damaged: versions that are missing are not missed";
    findings.push(finding("harmless", "version", join(logFolder(shard), rollFileName), message));
  }
  for (const name of roll.names) {
    if (currentEntry(pages, encodeVersionKey(name))) continue;
    const what = `the manifest of version "${name}"`;
    const affects = { versions: [name] };
    findings.push(finding("damage", "version", pagesFolder(shard), "it is missing", { what, affects }));
  }
}

/**
 * Demands each value of a cold row. Whether its row has come back into memory since, and the value counts for nothing, only
 * the log tells; and so it is with rows that are missing, which opening finds.
 */
function judgeCold(
  { pages, shard }: Examination,
  tables: ReadonlyMap<number, ArenaTable>,
  findings: Finding[],
): void {
  for (const [entry] of pages.entries.values()) {
    const { key, deletion, file, offset, proof } = entry;
    if (!isCold(key) || deletion || !file.current || proof.kind !== "damaged") continue;
    const table = tables.get((decodeColdKey(key) ?? decodeKeptKey(key))?.table ?? -1);
    findings.push(
      finding("damage", "cold row", join(pagesFolder(shard), file.name), proof.reason, {
        offset,
        what: describeKey(key),
        affects: { rows: 1, ...(table && { tables: [table.definition.name] }) },
      }),
    );
  }
}

/** Damaged values that nothing refers to, and values that nobody knows. */
function judgeRemains(
  { pages, shard }: Examination,
  manifest: Manifest | undefined,
  images: ImageLists,
  findings: Finding[],
): void {
  const named = new Set<StoredEntry>();
  const manifests = manifest ? [manifest] : [];
  for (const [entry] of pages.entries.values())
    if (entry.proof.kind === "version") manifests.push(entry.proof.manifest);
  for (const one of manifests) for (const { entry } of images(one)) if (entry) named.add(entry);
  for (const entries of pages.entries.values()) {
    for (const [i, entry] of entries.entries()) {
      const { proof, key, file, offset, deletion } = entry;
      if (deletion || !file.current) continue;
      // What counts of manifest, versions and their pages has been judged.
      if (i === 0 && (key[0] === 0 || key[0] === 2 || isCold(key) || named.has(entry))) continue;
      const more = { offset, what: describeKey(key) };
      if (proof.kind === "damaged")
        findings.push(
          finding(
            "harmless",
            "page",
            join(pagesFolder(shard), file.name),
            `${proof.reason}; nothing refers to it`,
            more,
          ),
        );
      else if (proof.kind === "unknown")
        findings.push(
          finding(
            "damage",
            "page store",
            join(pagesFolder(shard), file.name),
            "it is a key that is none of ours",
            more,
          ),
        );
    }
  }
}

function judgeLog(
  { log, said, shard }: Examination,
  manifest: Manifest | undefined,
  findings: Finding[],
): void {
  const from = (manifest?.replayLsn ?? 0) + 1;
  const folder = logFolder(shard);
  judgeMarks(log, { folder, known: said.identity !== undefined }, findings);
  const state = followLog(log, from);
  const at = (name: string) => join(folder, name);
  if (state.break) {
    const { file, offset, reason } = state.break;
    const lsns = { from: state.goodLsn, to: Math.max(state.goodLsn, state.lastLsn) };
    findings.push(
      state.damaged
        ? finding("damage", "log", at(file), `${reason}: what follows LSN ${state.goodLsn - 1} is lost`, {
            offset,
            affects: { lsns },
          })
        : finding(
            "note",
            "log",
            at(file),
            `${reason}: the log ends there; a crash leaves that, and a file that is used again; nothing behind it was durable`,
            {
              offset,
            },
          ),
    );
  }
  if (manifest && state.goodLsn <= manifest.lsn && !state.damaged)
    findings.push(
      finding(
        "damage",
        "log",
        folder,
        `it ends at LSN ${state.goodLsn - 1}, before the instant ${manifest.lsn} of checkpoint ${manifest.generation}`,
        {
          affects: { lsns: { from: state.goodLsn, to: manifest.lsn } },
        },
      ),
    );
  if (log.unborn !== undefined)
    findings.push(
      finding("note", "log", at(segmentName(log.unborn)), "its making was cut short; it holds nothing"),
    );
  for (const { file, nextLsn, unreadable, defect, firstLsn } of log.segments) {
    if (file === state.break?.file) continue;
    const before = firstLsn < from && nextLsn <= from;
    const reason = unreadable ?? defect?.reason;
    if (reason === undefined) continue;
    const offset = defect?.offset ?? 0;
    if (before && (log.segments.find((one) => one.firstLsn > firstLsn)?.firstLsn ?? from) <= from)
      findings.push(finding("harmless", "log", at(file), `${reason}; no record of it is needed`, { offset }));
    else if (state.damaged) findings.push(finding("damage", "log", at(file), reason, { offset }));
  }
}

function judgeMarks(
  log: Examination["log"],
  { folder, known }: { readonly folder: string; readonly known: boolean },
  findings: Finding[],
): void {
  const broken = brokenHeader(log.segments);
  if (log.markFileWhole && !broken) return;
  // Another store's identity makes every mark wrong: that is reported already.
  if (!known && log.mark === undefined) return;
  const file = log.markFileWhole ? broken!.file : markFileName;
  const both = !log.markFileWhole && (broken !== undefined || log.segments.length === 0);
  findings.push(
    finding(
      both ? "damage" : "harmless",
      "durable mark",
      join(folder, file),
      both
        ? "both places of the durable mark are damaged or missing: nobody knows how far the log was durable"
        : "one of the two places of the durable mark is damaged or missing; the other one is enough",
    ),
  );
}
