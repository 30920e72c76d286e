// How the values of settings are read and said: each kind takes what a flag, a variable or a JSON file gives.

/** One kind of value. `read` gives undefined for what it does not take. */
export interface SettingKind<T> {
  /** As help says it: <bytes>. */
  readonly placeholder: string;
  /** What is expected, for messages and documents. */
  readonly says: string;
  read(given: unknown): T | undefined;
  show(value: T): string;
}

function units(table: Readonly<Record<string, number>>, given: unknown): number | undefined {
  if (typeof given === "number") return given;
  if (typeof given !== "string") return undefined;
  const match = /^(\d+(?:\.\d+)?) ?([a-z]*)$/i.exec(given.trim());
  const unit = match && table[match[2].toLowerCase()];
  return unit ? Math.round(Number(match[1]) * unit) : undefined;
}

const byteUnits = { "": 1, b: 1, kib: 2 ** 10, mib: 2 ** 20, gib: 2 ** 30, tib: 2 ** 40 };
const timeUnits = { "": 1, ms: 1, s: 1000, min: 60_000, h: 3_600_000, d: 86_400_000 };

function inRange(least: number, most: number, value: number | undefined): number | undefined {
  return value !== undefined && Number.isSafeInteger(value) && value >= least && value <= most
    ? value
    : undefined;
}

/** A whole number. */
export function count(least: number, most: number): SettingKind<number> {
  return {
    placeholder: "n",
    says: `a whole number from ${least} to ${most}`,
    read: (given) =>
      inRange(least, most, typeof given === "string" && !/^\d+$/.test(given) ? undefined : asNumber(given)),
    show: String,
  };
}

function asNumber(given: unknown): number | undefined {
  return typeof given === "number" || typeof given === "string" ? Number(given) : undefined;
}

/** Bytes: a number, or a text such as 4MiB. */
export function bytes(least: number, most: number): SettingKind<number> {
  return {
    placeholder: "bytes",
    says: `bytes from ${showBytes(least)} to ${showBytes(most)}, such as 4MiB`,
    read: (given) => inRange(least, most, units(byteUnits, given)),
    show: showBytes,
  };
}

function showBytes(value: number): string {
  for (const [unit, size] of [
    ["TiB", 2 ** 40],
    ["GiB", 2 ** 30],
    ["MiB", 2 ** 20],
    ["KiB", 2 ** 10],
  ] as const)
    if (value >= size && value % size === 0) return `${value / size}${unit}`;
  return `${value}`;
}

/** A time span in milliseconds: a number of them, or a text such as 30s. `never` says what 0 means, where it may be given. */
export function duration(least: number, most: number, never?: string): SettingKind<number> {
  const range = `a time from ${showTime(least)} to ${showTime(most)}, such as 30s`;
  return {
    placeholder: "time",
    says: never === undefined ? range : `${range}, or 0: ${never}`,
    read(given) {
      const value = units(timeUnits, given);
      return value === 0 && never !== undefined ? 0 : inRange(least, most, value);
    },
    show: showTime,
  };
}

function showTime(value: number): string {
  if (value === 0) return "0";
  for (const [unit, size] of [
    ["d", 86_400_000],
    ["h", 3_600_000],
    ["min", 60_000],
    ["s", 1000],
  ] as const)
    if (value >= size && value % size === 0) return `${value / size}${unit}`;
  return `${value}ms`;
}

/** A text that is not empty. */
export function text(placeholder: string, says: string): SettingKind<string> {
  return {
    placeholder,
    says,
    read: (given) => (typeof given === "string" && given !== "" && !given.includes("\0") ? given : undefined),
    show: String,
  };
}

/** One of some words. */
export function choice<T extends string>(...words: readonly T[]): SettingKind<T> {
  return {
    placeholder: words.join("|"),
    says: words.join(" or "),
    read: (given) => words.find((word) => word === given),
    show: String,
  };
}

/** true or false; as a flag --name or --no-name. */
export const yesOrNo: SettingKind<boolean> = {
  placeholder: "",
  says: "true or false",
  read: (given) =>
    given === true || given === "true" || given === "1"
      ? true
      : given === false || given === "false" || given === "0"
        ? false
        : undefined,
  show: String,
};

/** A host and a port: HOST:PORT, [::1]:PORT. */
export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

/** An address to listen on. */
export const endpoint: SettingKind<Endpoint> = {
  placeholder: "host:port",
  says: "HOST:PORT, such as 127.0.0.1:7400 or [::1]:7400",
  read: (given) => (typeof given === "string" ? parseEndpoint(given) : undefined),
  show: endpointText,
};

/** Reads HOST:PORT. */
export function parseEndpoint(given: string): Endpoint | undefined {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^\s:/[\]]+)):(\d{1,5})$/i.exec(given);
  const port = Number(match?.[3]);
  return match && port <= 65_535 ? { host: match[1] ?? match[2], port } : undefined;
}

/** An address that others connect to; port 0 where it has none. */
export const hostOrEndpoint: SettingKind<Endpoint> = {
  placeholder: "host",
  says: "HOST or HOST:PORT, such as 10.0.0.5, node-1.example.org:7400 or [::1]:7400",
  read: (given) => (typeof given === "string" ? parseHostOrEndpoint(given) : undefined),
  show: ({ host, port }) => endpointText({ host, port }).replace(/:0$/, ""),
};

/** An IPv6 address has two colons at least. */
const hostAndPort = /^(?:\[((?=(?:[^:]*:){2})[0-9a-f:.]+)\]|([a-z0-9_][a-z0-9._-]{0,254}))(?::(\d{1,5}))?$/i;

function parseHostOrEndpoint(given: string): Endpoint | undefined {
  const match = hostAndPort.exec(given);
  if (!match) return undefined;
  const host = match[1] ?? match[2];
  if (match[3] === undefined) return { host, port: 0 };
  const port = Number(match[3]);
  return port >= 1 && port <= 65_535 ? { host, port } : undefined;
}

/** HOST:PORT as it is written, an IPv6 address in brackets. */
export function endpointText({ host, port }: Endpoint): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
