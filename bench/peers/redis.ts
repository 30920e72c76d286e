import { execFile } from "node:child_process";
import { createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { Racer } from "../race.js";
import { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";

/** Redis as it is pulled from and pushed to by the C client. */
export interface Redis {
  /** Requests on their way for which it is fastest: the first so many milliseconds find that out. */
  racer(operation: "pull" | "push", ms: number): Promise<Racer & { readonly depth: number }>;
  stop(): Promise<void>;
}

/** How many requests are on their way: MGET of 128 keys, SET of one. */
const DEPTHS = { pull: [1, 2, 4, 8, 16], push: [64, 128, 256, 512, 1024] } as const;

/**
 * Starts a Redis server that keeps nothing on disk, and a C client (bench/peers/redis.c) that gives every key a value of
 * `valueBytes`. Undefined, with a note, where the server, a C compiler or hiredis is missing.
 */
export async function startRedis(
  context: SuiteContext,
  rows: number,
  valueBytes: number,
): Promise<Redis | undefined> {
  const { workspace, versions, note } = context;
  const failed = (error: Error) => {
    note(`Redis is left out: ${error.message.split("\n").slice(0, 2).join(" ")}`);
    return undefined;
  };
  const program = `${workspace.directory}/redis-client`;
  const source = fileURLToPath(new URL("../../../bench/peers/redis.c", import.meta.url));
  const run = promisify(execFile);
  const compiled = await run("cc", ["-O3", "-march=native", source, "-o", program, "-lhiredis"]).then(
    () => true,
    failed,
  );
  if (!compiled || !(await run("redis-server", ["--version"]).then(() => true, failed))) return undefined;
  const port = await freePort();
  const settings = ["--port", `${port}`, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"];
  const server = Subject.startServer(workspace, "redis-server", "redis-server", [
    ...settings,
    "--dir",
    workspace.directory,
  ]);
  const client = await Subject.start(workspace, "Redis", program, [`${port}`, `${rows}`, `${valueBytes}`]);
  versions.redis = String(client.ready.version);
  return {
    async racer(operation, ms) {
      const best = { depth: 0, rate: 0 };
      for (const depth of [...DEPTHS[operation], ...DEPTHS[operation]]) {
        const rate = await client.rate(operation, ms, depth);
        if (rate > best.rate) Object.assign(best, { depth, rate });
      }
      const { depth } = best;
      return { name: "Redis", depth, rate: (_, limitMs) => client.rate(operation, limitMs, depth) };
    },
    async stop() {
      await client.stop();
      server.kill();
    },
  };
}

/** A port that nobody listens on just now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}
