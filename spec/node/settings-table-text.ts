import { flagOf, type SettingSpec, settingTable, variableOf } from "../../lib/node/setting-table.js";

/** The table of settings as docs/nodes.md has it. */
export function settingsTableText(): string {
  const table = settingTable({ memoryBytes: 2 ** 34 }) as unknown as Readonly<
    Record<string, SettingSpec<never>>
  >;
  const rows = Object.entries(table).map(([name, { kind, fallback, otherwise, help }]) => {
    const flag = kind.placeholder === "" && fallback === true ? `--no-${flagOf(name)}` : `--${flagOf(name)}`;
    const usual = otherwise ?? (fallback === undefined ? "" : kind.show(fallback));
    return `| \`${flag}\` | \`${variableOf(name)}\` | \`${name}\` | ${usual} | ${kind.says} | ${help} |`;
  });
  return [
    "| flag | variable | key in a file | unless given | may be | means |",
    "|---|---|---|---|---|---|",
    ...rows,
  ].join("\n");
}
