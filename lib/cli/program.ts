import { readFileSync } from "node:fs";
import { Command } from "commander";
import { backupCommand, restoreCommand } from "./backup-commands.js";
import { benchCommand } from "./bench-command.js";
import { completionCommand } from "./completion-command.js";
import { configCommand } from "./config-command.js";
import { demoCommand } from "./demo-command.js";
import { evictCommand } from "./evict-command.js";
import { EXIT, failureOf } from "./failure.js";
import { inspectCommand } from "./inspect-command.js";
import { teach } from "./options.js";
import type { Output } from "./output.js";
import { planCommand } from "./plan-command.js";
import { repairCommand } from "./repair-command.js";
import { reshardCommand } from "./reshard-command.js";
import { ringCommand } from "./ring-command.js";
import { serveCommand } from "./serve-command.js";
import { statusCommand } from "./status-command.js";
import { histogramCommand, topCommand } from "./survey-commands.js";
import { exportCommand, importCommand } from "./transfer-commands.js";
import { verifyCommand } from "./verify-command.js";
import { versionsCommand } from "./versions-command.js";

/** Runs the command line `args` (without node and script) and gives the exit code. Never rejects. */
export async function runProgram(
  args: readonly string[],
  output: Output,
  environment: NodeJS.ProcessEnv,
): Promise<number> {
  let exitCode: number = EXIT.ok;
  const exit = (code: number) => {
    exitCode = code;
  };
  const program = new Command("embershard")
    .description("An embeddable parameter store for embedding tables and sparse features.")
    .enablePositionalOptions()
    .version(version(), "-V, --version", "print the version")
    .addCommand(demoCommand(output, exit))
    .addCommand(serveCommand(output, environment, version(), exit))
    .addCommand(statusCommand(output, exit))
    .addCommand(configCommand(output, environment))
    .addCommand(inspectCommand(output))
    .addCommand(topCommand(output))
    .addCommand(histogramCommand(output))
    .addCommand(evictCommand(output))
    .addCommand(exportCommand(output, environment))
    .addCommand(importCommand(output, environment))
    .addCommand(versionsCommand(output))
    .addCommand(verifyCommand(output, exit))
    .addCommand(planCommand(output))
    .addCommand(ringCommand(output))
    .addCommand(repairCommand(output, exit))
    .addCommand(reshardCommand(output))
    .addCommand(backupCommand(output))
    .addCommand(restoreCommand(output))
    .addCommand(benchCommand(exit))
    .addCommand(completionCommand(output));
  teach(program, [
    "embershard demo                      train in a store, end it, start it again",
    "embershard inspect ./model           what is in a store, open or not",
    "embershard serve --dir ./model       serve a store to other processes and machines",
    "embershard help inspect              more about one command",
  ]);
  prepareAll(program, "embershard", output);
  try {
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    const failure = failureOf(error, environment);
    if (failure.text) output.err.write(failure.text);
    return failure.exitCode;
  }
}

function prepareAll(command: Command, name: string, output: Output): void {
  prepare(command, name, output);
  for (const one of command.commands) prepareAll(one, `${name} ${one.name()}`, output);
}

/** Lets commander throw instead of ending the process, and say errors as everything else does. */
function prepare(command: Command, name: string, output: Output): void {
  command.exitOverride().configureOutput({
    writeOut: (text) => void output.out.write(text),
    writeErr: (text) => void output.err.write(text),
    getOutHelpWidth: () => output.out.columns ?? 100,
    getErrHelpWidth: () => output.err.columns ?? 100,
    outputError: (text, write) => {
      const message = text.replace(/^error: /, "").trimEnd();
      write(
        `error INVALID_OPTIONS: ${message.replaceAll("\n", " ").replace(/\.$/, "")}; see ${name} --help\n`,
      );
    },
  });
}

/** The version in package.json, which lies beside dist/ in a clone and in the package alike. */
function version(): string {
  const text = readFileSync(new URL("../../../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}
