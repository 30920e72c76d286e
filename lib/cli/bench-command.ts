import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";
import { Command } from "commander";
import { EmbershardError } from "../base/errors.js";
import { teach } from "./options.js";

export function benchCommand(exit: (code: number) => void): Command {
  const command = new Command("bench")
    .summary("measure this machine (in a clone)")
    .description(
      "Measures pulls, pushes, checkpoints and recovery against peers in the same run. The arguments are the " +
        "benchmark's own: names of suites, --quick, --json <file>, --plot <dir>. The installed package does not carry it.",
    )
    .argument("[arguments...]", "what the benchmark is told")
    .allowUnknownOption()
    .passThroughOptions()
    .action(async (args: string[]) => exit(await runBench(args)));
  return teach(command, [
    "embershard bench --quick             about a minute, smaller tables",
    "embershard bench --json bench.json   everything, and the figures as JSON",
  ]);
}

async function runBench(args: readonly string[]): Promise<number> {
  const main = fileURLToPath(new URL("../../bench/main.js", import.meta.url));
  if (!existsSync(main)) {
    throw new EmbershardError(
      "UNSUPPORTED",
      "the benchmark is not part of the installed package: clone the repository, npm ci, npm run bench",
    );
  }
  const child = spawn(process.execPath, [main, ...args], { stdio: "inherit" });
  // A terminal sends Ctrl-C to both: the child decides when to end, and its exit code is ours. Others' signals are passed on.
  const stay = () => {};
  const pass = (signal: NodeJS.Signals) => void child.kill(signal);
  process.on("SIGINT", stay).on("SIGTERM", pass);
  try {
    return await new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("exit", (code, signal) => resolve(code ?? 128 + constants.signals[signal ?? "SIGTERM"]));
    });
  } finally {
    process.off("SIGINT", stay).off("SIGTERM", pass);
  }
}
