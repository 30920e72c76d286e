// A real S3 server (s3rver, on a free port of this machine) with faults on demand. It lacks three calls, which are answered
// here from its own files: the list of unfinished uploads, the list of an upload's parts, and the end of an upload. Nor
// does it look at signatures: this does, as https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html says.
import { createHash, createHmac } from "node:crypto";
import { readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { S3Options } from "../../lib/index.js";

interface Context {
  readonly method: string;
  readonly path: string;
  readonly query: Record<string, string | undefined>;
  readonly req: {
    readonly url: string;
    readonly headers: Record<string, string | undefined>;
    destroy(): void;
  };
  status: number;
  body: unknown;
  type: string;
}

type Middleware = (context: Context, next: () => Promise<void>) => Promise<void>;

interface Server {
  readonly middleware: Middleware[];
  run(): Promise<AddressInfo>;
  close(): Promise<void>;
}

type Fault = number | "cut" | undefined;

export const BUCKET = "bucket";

export class S3Server {
  /** Requests that came, as METHOD path?names-of-parameters. */
  readonly requests: string[] = [];
  /** Decides what becomes of a request before the server sees it: an answer of this status, a cut connection, or nothing. */
  fault: (request: string) => Fault | Promise<Fault> = () => undefined;
  readonly #directory: string;
  readonly #server: Server;
  #port = 0;

  static async start(directory: string): Promise<S3Server> {
    // It has no types.
    const module = (await import("s3rver" as string)) as { default: new (options: object) => Server };
    const started = new S3Server(directory, module.default);
    started.#port = (await started.#server.run()).port;
    return started;
  }

  private constructor(directory: string, Rver: new (options: object) => Server) {
    this.#directory = directory;
    this.#server = new Rver({
      port: 0,
      address: "127.0.0.1",
      silent: true,
      directory,
      configureBuckets: [{ name: BUCKET, configs: [] }],
    });
    this.#server.middleware.unshift((context, next) => this.#handle(context, next));
  }

  get options(): S3Options {
    return {
      endpoint: `http://127.0.0.1:${this.#port}`,
      accessKeyId: "S3RVER",
      secretAccessKey: "S3RVER",
      retryMs: 1,
      partBytes: 5 << 20,
    };
  }

  get environment(): Record<string, string> {
    return {
      AWS_ENDPOINT_URL: `http://127.0.0.1:${this.#port}`,
      AWS_ACCESS_KEY_ID: "S3RVER",
      AWS_SECRET_ACCESS_KEY: "S3RVER",
    };
  }

  /** Ids of unfinished uploads. */
  uploads(): string[] {
    try {
      return readdirSync(this.#uploads);
    } catch {
      // The server makes the directory with the first upload.
      return [];
    }
  }

  get #uploads(): string {
    return join(this.#directory, BUCKET, "._S3rver_uploads");
  }

  async #handle(context: Context, next: () => Promise<void>): Promise<void> {
    const { method, path, query } = context;
    const request = `${method} ${path}?${Object.keys(query).join("&")}`;
    this.requests.push(request);
    const fault = await this.fault(request);
    if (fault === "cut") return context.req.destroy();
    if (fault !== undefined) {
      context.status = fault;
      context.body = `<Error><Code>Fault</Code><Message>on &quot;demand&quot;</Message></Error>`;
      return;
    }
    if (signatureOf(context) !== /Signature=(\w+)/.exec(context.req.headers.authorization ?? "")?.[1]) {
      context.status = 403;
      context.body = "<Error><Code>SignatureDoesNotMatch</Code></Error>";
      return;
    }
    if (method === "GET" && path === `/${BUCKET}` && "uploads" in query) return this.#listUploads(context);
    if (query.uploadId !== undefined && method === "GET") return this.#listParts(context, query.uploadId);
    if (query.uploadId !== undefined && method === "DELETE") {
      rmSync(join(this.#uploads, query.uploadId), { recursive: true });
      context.status = 204;
      return;
    }
    await next();
  }

  #listUploads(context: Context): void {
    const uploads = this.uploads().map((id) => {
      const key = readFileSync(join(this.#uploads, id, "key"), "utf8");
      const { mtime } = statSync(join(this.#uploads, id, "key"));
      return `<Upload><Key>${key.replaceAll("&", "&amp;")}</Key><UploadId>${id}</UploadId><Initiated>${mtime.toISOString()}</Initiated></Upload>`;
    });
    this.#answer(context, `<ListMultipartUploadsResult>${uploads.join("")}</ListMultipartUploadsResult>`);
  }

  /** Two parts at a time, so that the second page is asked for. */
  #listParts(context: Context, id: string): void {
    const place = join(this.#uploads, id);
    const marker = Number(context.query["part-number-marker"] ?? 0);
    const numbers = readdirSync(place)
      .filter((name) => /^\d+\.md5$/.test(name))
      .map((name) => Number.parseInt(name, 10))
      .filter((number) => number > marker)
      .sort((a, b) => a - b);
    const shown = numbers.slice(0, 2).map((number) => {
      const etag = readFileSync(join(place, `${number}.md5`), "utf8");
      const { size } = statSync(join(place, String(number)));
      return `<Part><PartNumber>${number}</PartNumber><ETag>&quot;${etag}&quot;</ETag><Size>${size}</Size></Part>`;
    });
    const more = numbers.length > 2;
    this.#answer(
      context,
      `<ListPartsResult><IsTruncated>${more}</IsTruncated>${more ? `<NextPartNumberMarker>${numbers[1]}</NextPartNumberMarker>` : ""}${shown.join("")}</ListPartsResult>`,
    );
  }

  #answer(context: Context, xml: string): void {
    context.status = 200;
    context.type = "application/xml";
    context.body = xml;
  }

  close(): Promise<void> {
    return this.#server.close();
  }
}

/** The signature that a request must have. */
function signatureOf({ method, req }: Context): string {
  const { url, headers } = req;
  const [, scope, names] =
    /Credential=[^/]+\/([^,]+), SignedHeaders=([^,]+)/.exec(headers.authorization ?? "") ?? [];
  if (scope === undefined) return "none";
  const [path, query = ""] = url.split("?");
  const pairs = query.split("&").filter(Boolean);
  const lines = [
    method,
    path,
    pairs
      .map((pair) => (pair.includes("=") ? pair : `${pair}=`))
      .sort()
      .join("&"),
    ...names.split(";").map((name) => `${name}:${headers[name]?.trim()}`),
    "",
    names,
    headers["x-amz-content-sha256"],
  ];
  const hash = createHash("sha256").update(lines.join("\n")).digest("hex");
  const text = `AWS4-HMAC-SHA256\n${headers["x-amz-date"]}\n${scope}\n${hash}`;
  const key = scope
    .split("/")
    .reduce<string | Buffer>((key, part) => createHmac("sha256", key).update(part).digest(), "AWS4S3RVER");
  return createHmac("sha256", key).update(text).digest("hex");
}
