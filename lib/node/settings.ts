// What is in force: flags over environment over file over defaults. Everything is checked, also what is overruled.
import { describe } from "../api/option-reader.js";
import { EmbershardError } from "../base/errors.js";
import type { Endpoint } from "./setting-kinds.js";
import {
  flagOf,
  type Machine,
  type NodeSettings,
  type SettingName,
  type SettingSpec,
  settingTable,
  variableOf,
} from "./setting-table.js";

export type { NodeSettings } from "./setting-table.js";

/** Where values may come from. */
export interface SettingSources {
  /** By name of setting, as the command line gave them. */
  readonly flags?: Readonly<Record<string, unknown>>;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** A file's path, for messages, and its text. */
  readonly file?: { readonly path: string; readonly text: string } | undefined;
}

/** One setting in force. */
export interface SettingInForce {
  readonly name: SettingName;
  readonly value: unknown;
  /** As a person writes it. */
  readonly shown: string;
  /** "default", "flag --frame-bytes", "environment EMBERSHARD_FRAME_BYTES", "file node.json". */
  readonly from: string;
}

export interface ResolvedSettings {
  readonly settings: NodeSettings;
  readonly inForce: readonly SettingInForce[];
}

/**
 * Decides what is in force.
 *
 * @throws INVALID_OPTIONS naming the setting, what was found, where it came from and what is expected
 */
export function resolveSettings(sources: SettingSources, machine: Machine): ResolvedSettings {
  const table = settingTable(machine) as Readonly<Record<SettingName, SettingSpec<unknown>>>;
  const fromFile = readFile(sources.file, Object.keys(table));
  const inForce = (Object.keys(table) as SettingName[]).map((name): SettingInForce => {
    const spec = table[name];
    const given: [string, unknown][] = [
      [`flag --${flagOf(name)}`, sources.flags?.[name]],
      [`environment ${variableOf(name)}`, sources.environment?.[variableOf(name)]],
      [`file ${sources.file?.path}`, fromFile[name]],
    ];
    const read = given
      .filter(([, value]) => value !== undefined)
      .map(([from, value]) => ({ from, value: readValue(name, spec, value, from) }));
    const { value, from } = read[0] ?? { value: spec.fallback, from: "default" };
    return { name, value, from, shown: value === undefined ? (spec.otherwise ?? "") : spec.kind.show(value) };
  });
  const settings = Object.fromEntries(
    inForce.map(({ name, value }) => [name, value]),
  ) as unknown as NodeSettings;
  checkTogether(settings, inForce);
  return { settings, inForce };
}

function readValue(name: string, { kind }: SettingSpec<unknown>, given: unknown, from: string): unknown {
  const value = kind.read(given);
  if (value !== undefined) return value;
  throw refusal(`${name}: found ${describe(given)} (${from}), expected ${kind.says}`);
}

function refusal(message: string): EmbershardError {
  return new EmbershardError("INVALID_OPTIONS", message);
}

function readFile(file: SettingSources["file"], known: readonly string[]): Readonly<Record<string, unknown>> {
  if (!file) return {};
  let json: unknown;
  try {
    json = JSON.parse(file.text);
  } catch (cause) {
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `${file.path} cannot be read as JSON: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw refusal(`${file.path}: found ${describe(json)}, expected an object of settings`);
  const unknown = Object.keys(json).filter((name) => !known.includes(name));
  if (unknown.length > 0)
    throw refusal(`${file.path}: found unknown settings ${unknown.join(", ")}, expected ${known.join(", ")}`);
  return json as Record<string, unknown>;
}

/** Variables that look like settings and are none: a misspelling, perhaps. */
export function strangeVariables(environment: Readonly<Record<string, string | undefined>>): string[] {
  const known = Object.keys(settingTable({ memoryBytes: 0 })).map(variableOf);
  return Object.keys(environment).filter(
    (name) =>
      name.startsWith("EMBERSHARD_") &&
      !known.includes(name) &&
      !["EMBERSHARD_CONFIG", "EMBERSHARD_TRACE"].includes(name),
  );
}

/** Whether nobody beyond this machine can connect to a host. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\.\d+\.\d+\.\d+$/.test(host);
}

/** Refuses to listen where others can connect, unless that is wanted. `what` says the address, and where it is from. */
export function demandPrivate({ host }: { readonly host: string }, insecure: boolean, what: string): void {
  if (isLoopback(host) || insecure) return;
  throw refusal(
    `found ${what}: nothing is encrypted and nobody is asked who they are, so listening beyond this machine needs --insecure, on a network that you trust`,
  );
}

/** Refuses a control port with too few ports above it for the shards. `what` says the address, and where it is from. */
export function demandPorts({ port }: Endpoint, shards: number, what: string): void {
  if (port === 0 || port + shards <= 65_535) return;
  throw refusal(`found ${what}: its shards have the ports above it, of which there are too few`);
}

function checkTogether(settings: NodeSettings, inForce: readonly SettingInForce[]): void {
  const saying = (name: SettingName) => {
    const one = inForce.find((setting) => setting.name === name)!;
    return `${name} ${one.shown} (${one.from})`;
  };
  const {
    listen,
    advertise,
    shards = 1,
    insecure,
    cluster,
    node,
    frameBytes,
    connectionBytes,
    inFlightBytes,
  } = settings;
  if (listen) demandPrivate(listen, insecure, saying("listen"));
  if (listen) demandPorts(listen, shards, saying("listen"));
  if (advertise) demandPorts(advertise, shards, saying("advertise"));
  if (cluster !== undefined && advertise !== undefined)
    throw refusal(
      `found ${saying("advertise")} and ${saying("cluster")}: the file says where clients connect to`,
    );
  if (cluster !== undefined && listen?.port === 0)
    throw refusal(
      `found ${saying("listen")} and ${saying("cluster")}: clients connect to the ports that the file says`,
    );
  if (cluster !== undefined && node === undefined)
    throw refusal(`found ${saying("cluster")} without node: say which of its nodes this is`);
  if (node !== undefined && cluster === undefined)
    throw refusal(`found ${saying("node")} without cluster: give the file that it is named in`);
  if (connectionBytes < frameBytes)
    throw refusal(`found ${saying("connectionBytes")}, expected at least ${saying("frameBytes")}`);
  if (inFlightBytes < connectionBytes)
    throw refusal(`found ${saying("inFlightBytes")}, expected at least ${saying("connectionBytes")}`);
}
