// Compiles the TypeScript of the project into dist/. Incremental: a second run takes a moment.
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = join(dirname(fileURLToPath(import.meta.url)), "..");
const typescript = dirname(createRequire(import.meta.url).resolve("typescript/package.json"));
const built = spawnSync(process.execPath, [join(typescript, "bin", "tsc"), "-p", root], { stdio: "inherit" });
if (built.status !== 0) process.exit(built.status ?? 1);
const command = join(root, "dist", "lib", "cli", "main.js");
if (existsSync(command)) chmodSync(command, 0o755);
