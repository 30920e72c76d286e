// Options are checked before they reach the sockets' native code, which ends the process over a bad one.
import { EmbershardError } from "../base/errors.js";
import type { Address, ConnectOptions, SocketLimits } from "./connection.js";

/** The largest message that one call to the system, and one view, can hold with room to spare. */
const largestMessage = 1 << 30;
/** The longest delay of a timer of Node. */
const longestMs = 2 ** 31 - 1;

type Range = readonly [least: number, most: number];

const limitRanges: Readonly<Record<keyof SocketLimits, Range>> = {
  messageBytes: [125, largestMessage],
  waitingBytes: [1 << 10, 2 ** 32 - 1],
  connections: [1, 1 << 20],
  connectionsPerAddress: [1, 1 << 20],
  handshakeMs: [1, longestMs],
  pingMs: [0, longestMs],
  answerMs: [0, longestMs],
  readerBytesPerSecond: [0, 2 ** 32 - 1],
  readerMs: [0, longestMs],
  idleSeconds: [8, 960],
  lifetimeMinutes: [0, 240],
};

/** Throws INVALID_OPTIONS unless every limit is a whole number in its range. */
export function checkLimits(limits: SocketLimits): void {
  for (const [name, range] of Object.entries(limitRanges) as [keyof SocketLimits, Range][])
    checkWhole(name, limits[name], range);
}

/** Throws INVALID_OPTIONS unless a connection can be made with these. */
export function checkConnectOptions(options: ConnectOptions): void {
  checkWhole("timeoutMs", options.timeoutMs, [1, longestMs]);
  checkWhole("messageBytes", options.messageBytes, [125, largestMessage]);
  checkWhole("frontBytes", options.frontBytes, [1, 1 << 16]);
  checkWhole("silenceMs", options.silenceMs, [0, longestMs]);
  if (options.mask !== "zero" && options.mask !== "random")
    throw new EmbershardError("INVALID_OPTIONS", `mask is ${options.mask}; expected "zero" or "random"`);
  if (options.polling !== "auto" && options.polling !== "never")
    throw new EmbershardError("INVALID_OPTIONS", `polling is ${options.polling}; expected "auto" or "never"`);
  if (!/^\/[\x21-\x7e]{0,1023}$/.test(options.path))
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `path is ${JSON.stringify(options.path)}; expected "/" and at most 1,023 printable characters of ASCII`,
    );
}

/** Throws INVALID_OPTIONS unless something can listen at, or connect to, the address. */
export function checkAddress({ host, port }: Address, leastPort: number): void {
  checkWhole("port", port, [leastPort, 65_535]);
  if (typeof host !== "string" || !/^[\w.:%-]{1,253}$/.test(host))
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `host is ${JSON.stringify(host)}; expected a host's name or an IP address without brackets`,
    );
}

/** Throws INVALID_OPTIONS unless a close frame may carry these (RFC 6455, 7.4). */
export function checkClose(code: number, reason: string): void {
  const allowed =
    (code >= 1000 && code <= 1013 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
  if (!Number.isInteger(code) || !allowed)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `the code of a close is ${code}; see RFC 6455, 7.4 for those that may be sent`,
    );
  if (Buffer.byteLength(reason) > 123)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `the reason of a close has ${Buffer.byteLength(reason)} bytes; at most 123 fit`,
    );
}

function checkWhole(name: string, value: number, [least, most]: Range): void {
  if (!Number.isInteger(value) || value < least || value > most)
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `${name} is ${value}; expected a whole number from ${least} to ${most}`,
    );
}
