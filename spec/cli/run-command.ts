import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

/** The command line as it is installed. */
export const COMMAND = fileURLToPath(new URL("../../lib/cli/main.js", import.meta.url));

export interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs `embershard` with pipes for output, as a script would, and waits for its end. */
export function runCommand(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  command = COMMAND,
): Promise<Ended> {
  const child = spawn(process.execPath, [command, ...args], { env: { ...process.env, ...environment } });
  let out = "";
  let err = "";
  child.stdout.on("data", (data) => (out += data));
  child.stderr.on("data", (data) => (err += data));
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })));
}
