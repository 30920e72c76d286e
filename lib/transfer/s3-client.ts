import { setTimeout as wait } from "node:timers/promises";
import type { AwsClient } from "aws4fetch";
import { EmbershardError } from "../base/errors.js";
import type { S3Address, S3Settings } from "./s3-address.js";

export interface S3Request {
  readonly method: "GET" | "PUT" | "POST" | "DELETE" | "HEAD";
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
  /** Statuses besides 2xx that are answers, not failures. */
  readonly expect?: readonly number[];
}

export interface S3Response {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Uint8Array;
}

/** Signed requests to an S3-compatible server; those that fail for reasons that pass are made again, ever later. */
export class S3Client {
  readonly settings: S3Settings;
  readonly #aws: AwsClient;
  readonly #signal: AbortSignal | undefined;

  static async create(settings: S3Settings, signal: AbortSignal | undefined): Promise<S3Client> {
    // Only now: who stays on this machine loads nothing of it.
    const { AwsClient } = await import("aws4fetch");
    const { accessKeyId, secretAccessKey, sessionToken, region } = settings;
    const token = sessionToken === undefined ? {} : { sessionToken };
    return new S3Client(
      new AwsClient({ accessKeyId, secretAccessKey, region, service: "s3", retries: 0, ...token }),
      settings,
      signal,
    );
  }

  private constructor(aws: AwsClient, settings: S3Settings, signal: AbortSignal | undefined) {
    this.#aws = aws;
    this.settings = settings;
    this.#signal = signal;
  }

  /** The same client, deaf to the signal: for what must be cleaned up after an abort. */
  undisturbed(): S3Client {
    return new S3Client(this.#aws, this.settings, undefined);
  }

  /** An empty key means the bucket. @throws IO, ABORTED */
  async request({ bucket, key }: S3Address, request: S3Request): Promise<S3Response> {
    const url = new URL(
      `${this.settings.endpoint}/${[bucket, ...(key === "" ? [] : key.split("/"))].map(encodeURIComponent).join("/")}`,
    );
    for (const [name, value] of Object.entries(request.query ?? {})) url.searchParams.set(name, value);
    const what = `${request.method} s3://${bucket}/${key}`;
    for (let tried = 1; ; tried++) {
      const outcome = await this.#once(what, url, request);
      if (!("again" in outcome)) return outcome;
      if (tried >= this.settings.tries) {
        const { message, cause } = outcome.again;
        throw new EmbershardError("IO", `${message}, after ${tried} tries`, { cause });
      }
      await this.#pause(what, this.settings.retryMs * 2 ** (tried - 1));
    }
  }

  /** An answer, or why to ask again. */
  async #once(what: string, url: URL, request: S3Request): Promise<S3Response | { again: EmbershardError }> {
    const { method, headers, body, expect } = request;
    let response: S3Response;
    try {
      const signed = await this.#aws.sign(url, {
        method,
        ...(headers && { headers }),
        ...(body !== undefined && { body: body as NonNullable<RequestInit["body"]> }),
      });
      const answer = await fetch(signed, this.#signal ? { signal: this.#signal } : {});
      response = {
        status: answer.status,
        headers: answer.headers,
        body: new Uint8Array(await answer.arrayBuffer()),
      };
    } catch (cause) {
      this.#demandGoing(what);
      return { again: new EmbershardError("IO", `${what}: ${causeText(cause)}`, { cause }) };
    }
    if ((response.status >= 200 && response.status < 300) || expect?.includes(response.status))
      return response;
    const text = Buffer.from(response.body).toString().slice(0, 4096);
    const said = [tagOf(text, "Code"), tagOf(text, "Message")].filter(Boolean).join(": ");
    const error = new EmbershardError(
      "IO",
      `${what}: the server answered ${response.status}${said && ` ${said}`}`,
    );
    if (response.status < 500 && response.status !== 429 && response.status !== 408) throw error;
    return { again: error };
  }

  async #pause(what: string, ms: number): Promise<void> {
    try {
      await wait(ms, undefined, this.#signal ? { signal: this.#signal } : {});
    } catch (cause) {
      this.#demandGoing(what);
      throw cause;
    }
  }

  #demandGoing(what: string): void {
    if (this.#signal?.aborted)
      throw new EmbershardError("ABORTED", `${what} was aborted`, { cause: this.#signal.reason });
  }
}

/** fetch says "fetch failed" and no more: what happened is in the cause. */
function causeText(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error
    ? `${message} (${cause.message || String((cause as NodeJS.ErrnoException).code)})`
    : message;
}

/** The text of the first element of a name in XML, undefined where there is none. */
export function tagOf(xml: string, name: string): string | undefined {
  return tagsOf(xml, name)[0];
}

/** The contents of all elements of a name, which are not nested in their like; entities are resolved. */
export function tagsOf(xml: string, name: string): string[] {
  return [...xml.matchAll(new RegExp(`<${name}>([\\s\\S]*?)</${name}>`, "g"))].map(([, text]) =>
    unescaped(text),
  );
}

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescaped(text: string): string {
  // An element's own markup stays as it is: it has no entities of its own.
  if (text.includes("<")) return text;
  return text.replace(/&(?:#(\d+)|#x([\da-f]+)|(\w+));/gi, (all, decimal, hex, name) => {
    if (decimal) return String.fromCodePoint(Number(decimal));
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16));
    return ENTITIES[name] ?? all;
  });
}
