// The file DIR/owner: who has the directory open. For messages only; LevelDB's locks decide.
import { readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { EmbershardError } from "../base/errors.js";
import { isAlive } from "../base/processes.js";

const ownerName = "owner";

/** What has a directory open, where the command line cannot ask it over the control socket. */
export type OwnerKind =
  | { readonly kind: "node" /** HOST:PORT of its control port. */; readonly address: string }
  | { readonly kind: "threads"; readonly threads: number };

/** Who says that it has a directory open. */
export interface Owner {
  readonly pid: number;
  /** Undefined of a store on one thread. */
  readonly as: OwnerKind | undefined;
}

/** Notes that this process has the directory. @throws IO */
export async function noteOwner(directory: string, as?: OwnerKind): Promise<void> {
  const path = join(directory, ownerName);
  const line = as && (as.kind === "node" ? `node ${as.address}` : `threads ${as.threads}`);
  try {
    await writeFile(path, `${process.pid}\n${line === undefined ? "" : `${line}\n`}`, { mode: 0o600 });
  } catch (cause) {
    throw new EmbershardError("IO", `${path} cannot be written: ${(cause as Error).message}`, { cause });
  }
}

export async function forgetOwner(directory: string): Promise<void> {
  await rm(join(directory, ownerName), { force: true });
}

/** What the file says, whether that process is there or not; undefined where it says nothing. */
export async function readOwner(directory: string): Promise<Owner | undefined> {
  const text = await readFile(join(directory, ownerName), "utf8").catch(() => "");
  const [first, second = ""] = text.split("\n");
  const pid = Number(first.trim());
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  const [, kind, rest] = /^(node|threads) (\S+)$/.exec(second) ?? [];
  if (kind === "node") return { pid, as: { kind, address: rest } };
  if (kind === "threads") return { pid, as: { kind, threads: Number(rest) } };
  return { pid, as: undefined };
}

/** Who says that it has the directory open, if that process is there. */
export async function livingOwner(directory: string): Promise<Owner | undefined> {
  const owner = await readOwner(directory);
  return owner && isAlive(owner.pid) ? owner : undefined;
}

/** LOCKED, naming who has the directory open, and how to ask it. */
export async function lockedError(directory: string, cause?: unknown): Promise<EmbershardError> {
  const owner = await readOwner(directory);
  const message = `${directory} is open in ${ownerText(owner)}: ${adviceFor(owner)}`;
  return new EmbershardError("LOCKED", message, { cause });
}

function ownerText(owner: Owner | undefined): string {
  if (!owner) return "another process";
  const { pid, as } = owner;
  const who = pid === process.pid ? `this process (pid ${pid})` : `the process with pid ${pid}`;
  if (as?.kind === "node") return `${who}, a node`;
  return as ? `${who}, on ${as.threads} threads` : who;
}

function adviceFor(owner: Owner | undefined): string {
  const as = owner?.as;
  if (as?.kind === "node") return `ask it with \`embershard status http://${as.address}\`, or stop it`;
  return "close it there, or ask the owner with `embershard inspect`";
}
