// `embershard serve`: runs a node, under a parent that starts it again when it crashes.
import { spawn } from "node:child_process";
import { constants } from "node:os";
import { Command } from "commander";
import { systemClock } from "../base/clock.js";
import { Supervisor } from "../node/supervisor.js";
import { jsonLog, type NodeLog, plainLog } from "./node-log.js";
import { teach } from "./options.js";
import type { Output } from "./output.js";
import { addSettingOptions, settingsOf, softwareName } from "./setting-options.js";

export function serveCommand(
  output: Output,
  environment: NodeJS.ProcessEnv,
  version: string,
  exit: (code: number) => void,
): Command {
  const command = new Command("serve")
    .summary("serve a store to other processes and machines")
    .description(
      "Opens the store in a directory, or makes one, and serves it until it is told to stop (Ctrl-C, SIGTERM): then it " +
        "finishes what is under way, writes a checkpoint and ends with 0. A second signal, a second later or more, ends it at once. Each setting can " +
        "also be given in the environment or in a file; `embershard config` shows what is in force.",
    );
  addSettingOptions(command)
    .option("--json", "log JSON, one object a line")
    .action(async (options: { json?: boolean }) => {
      const { settings } = settingsOf(command, environment);
      const log = options.json ? jsonLog(output, () => new Date()) : plainLog(output);
      if (settings.supervise) exit(await supervise(log));
      else {
        // Only now: whoever does not serve loads no code for sockets.
        const { runNode } = await import("./node-process.js");
        exit(await runNode(settings, softwareName(version), log));
      }
    });
  return teach(command, [
    "embershard serve --dir ./model                                     a node by itself on 127.0.0.1:7400",
    "embershard serve --dir ./model --shards 4 --listen 127.0.0.1:9000  four threads; ports 9000 to 9004",
    "embershard serve --dir ./a --cluster cluster.json --node a         one of several nodes",
    "embershard serve --dir ./model --listen 10.0.0.5:7400 --insecure   for other machines: on a network that you trust",
    "embershard status http://127.0.0.1:7400 --watch                    how it is",
  ]);
}

/** Runs the same command as a child, again and again while it crashes. */
async function supervise(log: NodeLog): Promise<number> {
  const supervisor = new Supervisor({
    signals: constants.signals,
    clock: systemClock,
    say: (line) => log.line(line),
    start: () =>
      spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1), "--no-supervise"], {
        stdio: ["inherit", "inherit", "inherit", "ipc"],
        // In a group of its own: a terminal's Ctrl-C would come twice otherwise, from it and from here.
        detached: true,
      }),
  });
  const onTerm = () => supervisor.signal("SIGTERM");
  const onInt = () => supervisor.signal("SIGINT");
  process.on("SIGTERM", onTerm).on("SIGINT", onInt);
  // The clock's timers do not keep a process alive that waits to start its child again.
  const alive = setInterval(() => {}, 2 ** 30);
  try {
    return await supervisor.run();
  } finally {
    clearInterval(alive);
    process.off("SIGTERM", onTerm).off("SIGINT", onInt);
  }
}
