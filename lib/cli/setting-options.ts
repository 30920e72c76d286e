// Options of the command line that are a node's settings.
import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { type Command, Option } from "commander";
import { EmbershardError } from "../base/errors.js";
import { flagOf, type Machine, type SettingName, settingTable } from "../node/setting-table.js";
import { type ResolvedSettings, resolveSettings } from "../node/settings.js";

/** Names and versions of programs, as both sides of a connection tell them. */
export function softwareName(version: string): string {
  return `embershard/${version}`;
}

/** The machine that this runs on. */
export function thisMachine(): Machine {
  // What a container may use; more than there is, or 0, where nothing limits it.
  const limit = process.constrainedMemory?.() ?? 0;
  const all = totalmem();
  return { memoryBytes: limit > 0 ? Math.min(limit, all) : all };
}

/** Adds an option for each setting, and one for the file with settings. */
export function addSettingOptions(command: Command): Command {
  const table = settingTable(thisMachine());
  for (const [name, { kind, fallback, otherwise, help }] of Object.entries(table)) {
    const flag = flagOf(name);
    const usual = otherwise ?? (fallback === undefined ? "" : kind.show(fallback as never));
    if (kind.placeholder === "") {
      const negated = fallback === true;
      command.addOption(
        new Option(negated ? `--no-${flag}` : `--${flag}`, negated ? `Do not: ${help}` : help),
      );
    } else command.addOption(new Option(`--${flag} <${kind.placeholder}>`, `${help} (default: ${usual})`));
  }
  return command.option("--config <file>", "a JSON file with settings; EMBERSHARD_CONFIG names one, too");
}

/** What is in force: flags over environment over file over defaults. @throws INVALID_OPTIONS, IO */
export function settingsOf(command: Command, environment: NodeJS.ProcessEnv): ResolvedSettings {
  const table = settingTable(thisMachine());
  const flags: Partial<Record<SettingName, unknown>> = {};
  for (const option of command.options) {
    const attribute = option.attributeName();
    const name = (Object.keys(table) as SettingName[]).find(
      (one) => flagOf(one) === option.name().replace(/^no-/, ""),
    );
    if (name && command.getOptionValueSource(attribute) === "cli")
      flags[name] = command.getOptionValue(attribute);
  }
  const path: string | undefined = command.getOptionValue("config") ?? environment.EMBERSHARD_CONFIG;
  return resolveSettings(
    { flags, environment, file: path ? { path, text: readText(path) } : undefined },
    thisMachine(),
  );
}

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (cause) {
    throw new EmbershardError("IO", `${path} cannot be read: ${(cause as Error).message}`, { cause });
  }
}
