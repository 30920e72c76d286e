// `embershard config`: what settings a node would run with, and where each is from.
import { Command } from "commander";
import { flagOf, variableOf } from "../node/setting-table.js";
import { strangeVariables } from "../node/settings.js";
import { teach } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { addSettingOptions, settingsOf } from "./setting-options.js";
import { textTable } from "./text-table.js";

export function configCommand({ out, err, heading }: Output, environment: NodeJS.ProcessEnv): Command {
  const command = new Command("config")
    .summary("show the settings that a node would run with")
    .description(
      "Shows every setting of `embershard serve` as it is in force here, and where it is from: a flag, the environment, " +
        "the file, or the default, in this order. Checks all of them, and starts nothing.",
    );
  addSettingOptions(command)
    .option("--json", "print JSON: values in bytes and milliseconds, and where they are from")
    .action((options: { json?: boolean }) => {
      const { inForce } = settingsOf(command, environment);
      if (options.json) {
        const settings = inForce.map(({ name, value, from }) => [name, { value: value ?? null, from }]);
        out.write(jsonLine(Object.fromEntries(settings)));
        return;
      }
      const lines = textTable(
        [
          { title: "setting", text: ({ name }) => name },
          { title: "in force", text: ({ shown }) => shown },
          { title: "from", text: ({ from }) => from },
          { title: "flag", text: ({ name }) => `--${flagOf(name)}` },
          { title: "variable", text: ({ name }) => variableOf(name) },
        ],
        inForce,
      );
      out.write(`${[heading(lines[0]), ...lines.slice(1)].join("\n")}\n`);
      const strange = strangeVariables(environment);
      if (strange.length > 0) err.write(`not settings: ${strange.join(", ")}\n`);
    });
  return teach(command, [
    "embershard config                              everything, as it is here",
    "EMBERSHARD_FRAME_BYTES=1MiB embershard config        with a variable",
    "embershard config --config node.json --json    as a program reads it",
  ]);
}
