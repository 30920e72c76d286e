// Runs the spec files whose path contains every given pattern, one process each, and prints `N passed, N failed`.
// uvu exits 0 when a hook throws, when a file forgets `.run()` and when nothing matches; so the counts are demanded here.
import { spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(new URL(".", import.meta.url));
const limitMs = 300_000;

const patterns = process.argv.slice(2);
const files = readdirSync(here, { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".spec.js") && patterns.every((pattern) => file.includes(pattern)))
  .sort();

interface Outcome {
  readonly passed: number;
  readonly failed: number;
  readonly output: string;
}

function runFile(file: string): Promise<Outcome> {
  return new Promise((resolve) => {
    const child = spawn(process.execPath, ["--enable-source-maps", join(here, file)], {
      env: { ...process.env, FORCE_COLOR: "0" },
    });
    let output = "";
    child.stdout.on("data", (data) => (output += data));
    child.stderr.on("data", (data) => (output += data));
    let timedOut = false;
    const timer = setTimeout(() => {
      timedOut = true;
      child.kill("SIGKILL");
    }, limitMs);
    child.on("close", (code) => {
      clearTimeout(timer);
      resolve(judge(code, timedOut, output));
    });
  });
}

function judge(code: number | null, timedOut: boolean, output: string): Outcome {
  const total = Number(/Total:\s+(\d+)/.exec(output)?.[1] ?? 0);
  const passed = Number(/Passed:\s+(\d+)/.exec(output)?.[1] ?? 0);
  if (timedOut)
    return { passed, failed: Math.max(1, total - passed), output: `${output}\nended after ${limitMs} ms` };
  if (total === 0) return { passed: 0, failed: 1, output: `${output}\nno test ran: is .run() missing?` };
  const failed = total - passed;
  return { passed, failed: failed === 0 && code !== 0 ? 1 : failed, output };
}

let passed = 0;
let failed = 0;

async function runAndTell(file: string): Promise<void> {
  const start = performance.now();
  const outcome = await runFile(file);
  passed += outcome.passed;
  failed += outcome.failed;
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(
    `${outcome.failed ? "FAIL" : "ok  "} ${relative("", file)}  ${outcome.passed} passed, ${outcome.failed} failed, ${seconds} s`,
  );
  if (outcome.failed) console.log(outcome.output);
}

// As many at once as there are processors, up to a few: each file is a process with files and sockets of its own.
const queue = files.values();
await Promise.all(
  Array.from({ length: Math.min(4, availableParallelism()) }, async () => {
    for (const file of queue) await runAndTell(file);
  }),
);
if (files.length === 0) {
  console.error(`no spec matches ${patterns.join(" ")}`);
  failed = 1;
}
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;
