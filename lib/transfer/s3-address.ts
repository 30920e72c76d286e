import { EmbershardError } from "../base/errors.js";
import type { S3Options } from "./transfer-types.js";

/** An object, or where objects of one prefix are. */
export interface S3Address {
  readonly bucket: string;
  readonly key: string;
}

/** Whether a target or source is an address of S3. */
export function isS3(path: string): boolean {
  return path.startsWith("s3://");
}

/** @throws INVALID_ARGUMENT */
export function parseAddress(path: string): S3Address {
  const [, bucket, key] = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])\/(.*?)\/?$/.exec(path) ?? [];
  if (bucket && key?.split("/").every((part) => part !== "" && part !== "." && part !== ".."))
    return { bucket, key };
  throw new EmbershardError(
    "INVALID_ARGUMENT",
    `found ${path}, expected s3://bucket/name or s3://bucket/prefix/name`,
  );
}

/** Who asks whom, complete. */
export interface S3Settings {
  readonly endpoint: string;
  readonly region: string;
  readonly accessKeyId: string;
  readonly secretAccessKey: string;
  readonly sessionToken: string | undefined;
  readonly partBytes: number;
  readonly tries: number;
  readonly retryMs: number;
}

/** Least and most that S3 takes as a part, the last one excepted. */
const PART_BYTES = [5 << 20, 5 * 2 ** 30] as const;
const KNOWN = [
  "endpoint",
  "region",
  "accessKeyId",
  "secretAccessKey",
  "sessionToken",
  "partBytes",
  "tries",
  "retryMs",
];

/** Options, and what they leave out from the environment. @throws INVALID_OPTIONS */
export function settingsOf(options: S3Options, environment: NodeJS.ProcessEnv): S3Settings {
  const wrong = (message: string) => new EmbershardError("INVALID_OPTIONS", `s3: ${message}`);
  const unknown = Object.keys(options).filter((name) => !KNOWN.includes(name));
  if (unknown.length > 0)
    throw wrong(`found unknown option ${unknown.join(", ")}, expected ${KNOWN.join(", ")}`);
  const text = (name: keyof S3Options, ...variables: string[]): string | undefined => {
    const given = options[name] ?? variables.map((variable) => environment[variable]).find(Boolean);
    if (given !== undefined && typeof given !== "string") throw wrong(`${name} is no text`);
    return given;
  };
  const integer = (name: "partBytes" | "tries" | "retryMs", usual: number, least: number, most: number) => {
    const value = options[name] ?? usual;
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw wrong(`found ${name} ${value}, expected an integer from ${least} to ${most}`);
  };
  const region = text("region", "AWS_REGION", "AWS_DEFAULT_REGION") ?? "us-east-1";
  const endpoint =
    text("endpoint", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL") ?? `https://s3.${region}.amazonaws.com`;
  if (!/^https?:\/\/[^/?#]+\/?$/.test(endpoint))
    throw wrong(`found endpoint ${endpoint}, expected http(s)://host or http(s)://host:port`);
  const accessKeyId = text("accessKeyId", "AWS_ACCESS_KEY_ID");
  const secretAccessKey = text("secretAccessKey", "AWS_SECRET_ACCESS_KEY");
  if (!accessKeyId || !secretAccessKey)
    throw wrong(
      "found no credentials: give accessKeyId and secretAccessKey, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    );
  return {
    endpoint: endpoint.replace(/\/$/, ""),
    region,
    accessKeyId,
    secretAccessKey,
    sessionToken: text("sessionToken", "AWS_SESSION_TOKEN"),
    partBytes: integer("partBytes", 16 << 20, ...PART_BYTES),
    tries: integer("tries", 6, 1, 100),
    retryMs: integer("retryMs", 200, 0, 60_000),
  };
}
