// Versions: manifests with a name, which keep the images that they refer to. docs/formats/manifest.md is the document.
import { EmbershardError } from "../base/errors.js";
import { PAGE_BYTES } from "../kernel/layout.js";
import type { KeyRange, PageStore } from "../store/page-store.js";
import { decodeManifest, encodeManifest, type Manifest, type VersionNote } from "./manifest.js";
import { PageLedger } from "./page-ledger.js";

const prefix = 2;

/** Every key of a version, and nothing else. */
export const versionKeys: KeyRange = { gte: Uint8Array.of(prefix), lt: Uint8Array.of(prefix + 1) };

/** What the store was at one instant: every record up to `manifest.lsn`, and none after it. */
export interface Version extends VersionNote {
  readonly manifest: Manifest;
  readonly ledger: PageLedger;
}

/** A version whose manifest cannot be read: which images it keeps nobody knows. */
export interface DamagedVersion {
  readonly name: string;
  readonly damage: EmbershardError;
}

export type KnownVersion = Version | DamagedVersion;

/** Key of a version's manifest: 2, then its name in UTF-8. */
export function encodeVersionKey(name: string): Uint8Array {
  return Uint8Array.of(prefix, ...new TextEncoder().encode(name));
}

/** A version as its manifest says it. */
export function versionOf(manifest: Manifest): Version {
  const { name, note, rows, cut } = manifest.version!;
  return { name, note, rows, cut, manifest, ledger: new PageLedger(manifest.pages) };
}

/** Bytes of memory that its pages take. */
export function versionBytes({ ledger }: Version): number {
  return ledger.count() * PAGE_BYTES;
}

export function encodeVersion({ manifest }: Version): Uint8Array {
  return encodeManifest(manifest);
}

/**
 * All versions of a store, oldest first. What is damaged is among them, and so is what is expected and missing; it does not
 * stop the rest. @throws IO
 */
export async function readVersions(
  pages: PageStore,
  expected: readonly string[],
): Promise<Map<string, KnownVersion>> {
  const found: KnownVersion[] = [];
  for await (const entries of pages.entries(versionKeys))
    for (const { key, value } of entries) found.push(decodeVersion(key, value));
  const there = new Set(found.map(({ name }) => name));
  for (const name of expected) if (!there.has(name)) found.push(missing(name));
  return new Map(inOrder(found).map((version) => [version.name, version]));
}

function missing(name: string): DamagedVersion {
  return {
    name,
    damage: new EmbershardError(
      "CORRUPT",
      `the manifest of version "${name}" is missing: the page store has lost it. \`embershard verify\` says what is damaged`,
    ),
  };
}

/** Oldest first; damaged ones, of unknown age, before all. */
export function inOrder(versions: Iterable<KnownVersion>): KnownVersion[] {
  const age = (version: KnownVersion) => ("damage" in version ? -1 : version.manifest.generation);
  return [...versions].sort((a, b) => age(a) - age(b));
}

/** The version, whole; where `cut` is given, with that one. @throws VERSION_NOT_FOUND, CORRUPT */
export function demandVersion(
  versions: ReadonlyMap<string, KnownVersion>,
  name: string,
  cut?: string,
): Version {
  const version = versions.get(name);
  if (!version) {
    const names = [...versions.keys()];
    const there =
      names.length === 0
        ? "there are none"
        : `there are ${names
            .slice(-8)
            .map((one) => `"${one}"`)
            .join(", ")}${names.length > 8 ? ", and older ones" : ""}`;
    throw new EmbershardError("VERSION_NOT_FOUND", `no version "${name}": ${there}`);
  }
  if ("damage" in version) throw version.damage;
  if (cut === undefined || cut === version.cut) return version;
  throw new EmbershardError(
    "VERSION_NOT_FOUND",
    `version "${name}" was made anew meanwhile: its part is of cut ${version.cut ?? 0}, not of ${cut}`,
  );
}

function decodeVersion(key: Uint8Array, value: Uint8Array): KnownVersion {
  const name = new TextDecoder().decode(key.subarray(1));
  const what = `the manifest of version "${name}"`;
  try {
    const manifest = decodeManifest(value, what);
    if (manifest.version?.name !== name)
      throw new EmbershardError("CORRUPT", `${what} is that of ${JSON.stringify(manifest.version?.name)}`);
    return versionOf(manifest);
  } catch (error) {
    if (!(error instanceof EmbershardError)) throw error;
    return { name, damage: error };
  }
}
