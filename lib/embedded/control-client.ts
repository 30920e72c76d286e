import type { Socket } from "node:net";
import { EmbershardError, ERRORS, type ErrorCode } from "../base/errors.js";
import { nonFiniteFromText } from "../base/non-finite.js";
import { useAddress } from "./control-address.js";

export interface AskOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told how far the owner is, in JSON as the method gives it; null while it has not said. */
  readonly onProgress?: ((progress: unknown) => void) | undefined;
  /** What ABORTED says; what was asked for was aborted, unless given. */
  readonly aborted?: string | undefined;
}

export interface ControlClient {
  /**
   * Asks the owner one thing and gives its `result`, which is JSON. Rejects with the owner's own code, or IO when the
   * owner goes away or says nothing for `timeoutMs` (while it works it says so), or ABORTED by `signal`, which ends the
   * connection: the owner stops working on it then.
   */
  ask(method: string, params?: unknown, options?: AskOptions): Promise<unknown>;
  close(): void;
}

const TIMEOUT_MS = 10_000;

/** Connects to the process that has `directory` open; undefined where no process listens. */
export async function connectControl(
  directory: string,
  { timeoutMs = TIMEOUT_MS }: { timeoutMs?: number } = {},
): Promise<ControlClient | undefined> {
  const { connect } = await import("node:net");
  const socket = await useAddress(directory, (address) => connected(connect(address)));
  return socket === undefined ? undefined : clientOf(socket, directory, timeoutMs);
}

/** The pid of the process that has `directory` open, for the message of LOCKED; undefined where it does not listen. */
export async function ownerPid(directory: string): Promise<number | undefined> {
  const client = await connectControl(directory, { timeoutMs: 1_000 });
  if (client === undefined) return undefined;
  try {
    const owner = await client.ask("owner");
    const pid = typeof owner === "object" && owner !== null && "pid" in owner ? owner.pid : undefined;
    return typeof pid === "number" ? pid : undefined;
  } catch {
    // An owner that does not answer is still the owner: the caller reports it without a pid.
    return undefined;
  } finally {
    client.close();
  }
}

function connected(socket: Socket): Promise<Socket | undefined> {
  return new Promise((resolve, reject) => {
    socket.once("connect", () => resolve(socket));
    socket.once("error", (error: NodeJS.ErrnoException) => {
      // A killed owner leaves a socket that nobody listens on.
      if (error.code === "ECONNREFUSED" || error.code === "ENOENT") resolve(undefined);
      else
        reject(
          new EmbershardError("IO", `cannot ask the owner of the store: ${error.message}`, { cause: error }),
        );
    });
  });
}

interface Waiting {
  resolve(result: unknown): void;
  reject(error: EmbershardError): void;
  onProgress?: ((progress: unknown) => void) | undefined;
}

function clientOf(socket: Socket, directory: string, timeoutMs: number): ControlClient {
  const waiting = new Map<number, Waiting>();
  let lastId = 0;
  let received = "";
  const end = (error: EmbershardError) => {
    for (const { reject } of waiting.values()) reject(error);
    waiting.clear();
    socket.destroy();
  };
  const fail = (message: string) => end(new EmbershardError("IO", message));
  socket.setEncoding("utf8");
  const silent = () => fail(`the owner of ${directory} did not answer within ${timeoutMs} ms`);
  socket.setTimeout(timeoutMs, () => {
    // Where it was this process that stood still, the answer is there, and read before the next timer.
    const later = setTimeout(silent, 1_000);
    socket.once("data", () => clearTimeout(later));
    socket.once("close", () => clearTimeout(later));
  });
  socket.on("error", (error) => fail(`the connection to the owner of ${directory} broke: ${error.message}`));
  const closed = `the connection to the owner of ${directory} is closed: connect again`;
  socket.on("close", () => fail(closed));
  socket.on("data", (text: string) => {
    received += text;
    const lines = received.split("\n");
    received = lines.pop() ?? "";
    try {
      for (const line of lines) settle(line, waiting);
    } catch (error) {
      fail(`the owner of ${directory} answered with what is not JSON: ${String(error)}`);
    }
  });
  return {
    async ask(method, params, { signal, onProgress, aborted } = {}) {
      const message = aborted ?? `${method} was aborted`;
      const abort = () => end(new EmbershardError("ABORTED", message, { cause: signal?.reason }));
      signal?.addEventListener("abort", abort, { once: true });
      try {
        return await new Promise((resolve, reject) => {
          waiting.set(++lastId, { resolve, reject, onProgress });
          if (signal?.aborted) abort();
          else if (socket.destroyed) fail(closed);
          else socket.write(`${JSON.stringify({ id: lastId, method, params })}\n`);
        });
      } finally {
        signal?.removeEventListener("abort", abort);
      }
    },
    close: () => void socket.destroy(),
  };
}

interface Response {
  readonly id?: unknown;
  readonly progress?: unknown;
  readonly result?: unknown;
  readonly error?: { readonly code?: unknown; readonly message?: unknown };
}

/** Gives a response to who waits for it. Throws a SyntaxError for what is not JSON. */
function settle(line: string, waiting: Map<number, Waiting>): void {
  const { id, progress, result, error } = JSON.parse(line, nonFiniteFromText) as Response;
  const asker = typeof id === "number" ? waiting.get(id) : undefined;
  if (asker === undefined) return;
  if (progress !== undefined) {
    asker.onProgress?.(progress);
    return;
  }
  waiting.delete(id as number);
  if (error === undefined) asker.resolve(result);
  else asker.reject(new EmbershardError(isCode(error.code) ? error.code : "INTERNAL", String(error.message)));
}

/** A newer owner may know codes that this version does not. */
function isCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(ERRORS, code);
}
