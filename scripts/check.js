// Format, lint, types, generated files. The layer table is a spec (spec/layers.spec.ts) and runs here too.
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const steps = [
  ["format and lint", "npx", ["biome", "check", "."]],
  ["types", process.execPath, ["scripts/build.js"]],
  ["generated files", process.execPath, ["scripts/build-kernel.js", "--check"]],
  ["generated files of the schema", process.execPath, ["scripts/build-schema.js", "--check"]],
  ["layers", process.execPath, ["dist/spec/run.js", "layers"]],
];
for (const [name, command, args] of steps) {
  console.log(`# ${name}`);
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
}
