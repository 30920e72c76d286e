import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { Racer } from "../race.js";
import { Subject } from "../subject.js";
import type { SuiteContext } from "../suite.js";
import { freePort } from "./redis.js";

/** One stream of iperf3 over loopback, in bytes a second. Undefined, with a note, where there is no iperf3. */
export async function startIperf3({ workspace, versions, note }: SuiteContext): Promise<Racer | undefined> {
  const run = promisify(execFile);
  try {
    const { stdout } = await run("iperf3", ["--version"]);
    versions.iperf3 = stdout.split(" ")[1];
  } catch (error) {
    note(`iperf3 is left out: ${(error as Error).message.split("\n")[0]}`);
    return undefined;
  }
  return {
    name: "iperf3",
    async rate(_, ms) {
      const port = await freePort();
      const server = Subject.startServer(workspace, "iperf3 -s", "iperf3", ["-s", "-1", "-p", `${port}`]);
      // About as long as asked for: it takes whole seconds only, or bytes.
      const bytes = Math.max(64, Math.round(2 * Number(ms)));
      const args = ["-c", "127.0.0.1", "-p", `${port}`, "-n", `${bytes}M`, "-J"];
      try {
        // The server may not listen yet: then the client says so in its answer, or by its exit code.
        for (let tries = 0; tries < 20; tries++) {
          const { stdout } = await run("iperf3", args, { timeout: 20_000 }).catch(() => ({ stdout: "{}" }));
          const received = JSON.parse(stdout).end?.sum_received;
          if (received) return received.bits_per_second / 8;
          await new Promise((resolve) => setTimeout(resolve, 50));
        }
        throw new Error("iperf3 does not connect to its own server");
      } finally {
        server.kill();
      }
    },
  };
}
