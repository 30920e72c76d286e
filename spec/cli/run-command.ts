import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { runProgram } from "../../lib/cli/program.js";

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

/** The same in this process, without its signals: most of a command's time is that of starting Node. */
export async function runHere(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  let out = "";
  let err = "";
  const output = {
    out: { write: (text: string) => (out += text) },
    err: { write: (text: string) => (err += text) },
    heading: (text: string) => text,
  };
  const code = await runProgram(args, output, environment);
  return { code, out, err };
}
