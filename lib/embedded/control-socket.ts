import { chmod } from "node:fs/promises";
import type { Server, Socket } from "node:net";
import { EmbershardError } from "../base/errors.js";
import { nonFiniteAsText } from "../base/non-finite.js";
import { addressRemover, bindAddress } from "./control-address.js";

/** What a handler has of its asker, for work that takes long. */
export interface ControlRequest {
  /** Aborted when the asker goes away: nobody waits for the result then. */
  readonly signal: AbortSignal;
  /** Tells the asker how far the work is; JSON. What comes sooner than 100 ms after the last is left out. */
  progress(value: unknown): void;
}

/** What the owner answers, by method. A handler's result must be JSON, but for numbers that are not finite; an EmbershardError reaches the asker with its code. */
export type ControlHandlers = Readonly<Record<string, (params: unknown, request: ControlRequest) => unknown>>;

export interface ControlSocket {
  /** The path of the socket, or the name of the pipe. */
  readonly address: string;
  /** Stops listening, ends connections and removes the socket. Safe to call twice. */
  close(): Promise<void>;
}

/** A request longer than this ends its connection. */
export const LONGEST_REQUEST_BYTES = 1 << 20;
/** More connections at once than this are turned away. */
const MOST_CONNECTIONS = 16;
/** An asker hears at least this often that its request is being worked on. */
export const HEARTBEAT_MS = 2_000;
const PROGRESS_MS = 100;

/**
 * Answers the command line on behalf of a store that is open here: lines of JSON over a socket that only this user can
 * open (its file has mode 0600), `{ id, method, params }` to `{ id, result }` or `{ id, error: { code, message } }`, and
 * before that any number of `{ id, progress }`. The method `owner` is always there and gives `{ pid }`.
 *
 * The caller holds the lock of `directory`: what a killed owner left there is replaced. Does not keep the process alive.
 * @throws IO if no socket can be made; the store works without.
 */
export async function openControlSocket(
  directory: string,
  handlers: ControlHandlers,
): Promise<ControlSocket> {
  const all: ControlHandlers = { ...handlers, owner: () => ({ pid: process.pid }) };
  // Loaded here, so that a store without a socket loads no network code.
  const { createServer } = await import("node:net");
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.unref());
    socket.on("close", () => sockets.delete(socket));
    serve(socket, all);
  });
  server.maxConnections = MOST_CONNECTIONS;
  try {
    const setMode = (path: string) => chmod(path, 0o600);
    const address = await bindAddress(directory, (at) => listen(server, at), setMode);
    const remove = await addressRemover(directory);
    let closed: Promise<void> | undefined;
    const close = () => {
      closed ??= shut(server, sockets).then(remove);
      return closed;
    };
    return { address, close };
  } catch (cause) {
    if (server.listening) server.close();
    throw new EmbershardError("IO", `no control socket in ${directory}: ${messageOf(cause)}`, { cause });
  }
}

function shut(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    for (const socket of sockets) socket.destroy();
  });
}

function listen(server: Server, address: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen({ path: address, exclusive: true }, () => {
      server.off("error", reject);
      // From here on an error is a connection that could not be accepted: its asker sees it, the store goes on.
      server.on("error", () => {});
      server.unref();
      resolve();
    });
  });
}

/** Answers a connection's requests one after the other. */
function serve(socket: Socket, handlers: ControlHandlers): void {
  let pending = "";
  let queue = Promise.resolve();
  const gone = new AbortController();
  const say = (line: string) => {
    if (!socket.destroyed) socket.write(`${line}\n`);
  };
  socket.setEncoding("utf8");
  // A peer that goes away is no event for the store.
  socket.on("error", () => socket.destroy());
  socket.on("close", () => gone.abort());
  socket.on("data", (text: string) => {
    const lines = (pending + text).split("\n");
    pending = lines.pop() ?? "";
    if (pending.length > LONGEST_REQUEST_BYTES) return void socket.destroy();
    for (const line of lines) {
      queue = queue.then(async () => say(await answer(line, handlers, gone.signal, say)));
    }
  });
}

/** The response to one line, as JSON. Never rejects. */
async function answer(
  line: string,
  handlers: ControlHandlers,
  signal: AbortSignal,
  say: (line: string) => void,
): Promise<string> {
  let id: unknown = null;
  let heartbeat: NodeJS.Timeout | undefined;
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== "object" || request === null)
      throw invalid("a request is an object { id, method, params }");
    const { id: given, method, params } = request as { id?: unknown; method?: unknown; params?: unknown };
    id = given ?? null;
    if (typeof method !== "string" || !Object.hasOwn(handlers, method)) {
      throw invalid(
        `unknown method ${JSON.stringify(method)}; there are ${Object.keys(handlers).join(", ")}`,
      );
    }
    let last: unknown = null;
    let lastAt = Number.NEGATIVE_INFINITY;
    const report = () => {
      lastAt = performance.now();
      say(JSON.stringify({ id, progress: last }, nonFiniteAsText));
    };
    heartbeat = setInterval(report, HEARTBEAT_MS).unref();
    const progress = (value: unknown) => {
      last = value;
      if (performance.now() - lastAt >= PROGRESS_MS) report();
    };
    const result = (await handlers[method](params, { signal, progress })) ?? null;
    return JSON.stringify({ id, result }, nonFiniteAsText);
  } catch (error) {
    const code =
      error instanceof EmbershardError ? error.code : id === null ? "INVALID_ARGUMENT" : "INTERNAL";
    return JSON.stringify({ id, error: { code, message: messageOf(error) } });
  } finally {
    clearInterval(heartbeat);
  }
}

function invalid(message: string): EmbershardError {
  return new EmbershardError("INVALID_ARGUMENT", message);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
