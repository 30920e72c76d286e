// Measures Embershard against its peers: see docs/benchmarks.md.
import { readFileSync, writeFileSync } from "node:fs";
import type { Figure } from "./figure.js";
import { machine } from "./machine.js";
import { type BenchOptions, parseOptions, USAGE } from "./options.js";
import { formatReport, type Report } from "./report.js";
import type { Suite, SuiteContext } from "./suite.js";
import { admission } from "./suites/admission.js";
import { checkpoint } from "./suites/checkpoint.js";
import { cold } from "./suites/cold.js";
import { creation } from "./suites/creation.js";
import { eviction } from "./suites/eviction.js";
import { growth } from "./suites/growth.js";
import { level } from "./suites/level.js";
import { net } from "./suites/net.js";
import { pull } from "./suites/pull.js";
import { push } from "./suites/push.js";
import { recovery } from "./suites/recovery.js";
import { resident } from "./suites/resident.js";
import { ring } from "./suites/ring.js";
import { sizes } from "./suites/sizes.js";
import { storage } from "./suites/storage.js";
import { transfer } from "./suites/transfer.js";
import { verify } from "./suites/verify.js";
import { Workspace } from "./workspace.js";

const SUITES: readonly Suite[] = [
  pull,
  push,
  level,
  resident,
  recovery,
  verify,
  creation,
  checkpoint,
  growth,
  eviction,
  storage,
  transfer,
  admission,
  cold,
  sizes,
  ring,
  net,
];

async function main(): Promise<void> {
  const options = parse(process.argv.slice(2));
  if (options === undefined) return;
  const chosen = SUITES.filter(
    ({ name }) => options.names.length === 0 || options.names.some((part) => name.includes(part)),
  );
  if (chosen.length === 0) {
    console.error(
      `no suite matches ${options.names.join(" ")}; there are ${SUITES.map(({ name }) => name).join(", ")}`,
    );
    process.exitCode = 2;
    return;
  }
  const report = await measure(options, chosen);
  console.log(formatReport(report));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(report, null, 2)}\n`);
}

function parse(args: readonly string[]): BenchOptions | undefined {
  try {
    const options = parseOptions(args);
    if (options !== "help") return options;
    console.log(USAGE);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    process.exitCode = 2;
  }
  return undefined;
}

async function measure(options: BenchOptions, suites: readonly Suite[]): Promise<Report> {
  const before = machine();
  const workspace = new Workspace(options.directory);
  const notes: string[] = [];
  const versions: Record<string, string> = { embershard: ownVersion(), node: process.versions.node };
  const context: SuiteContext = {
    options,
    workspace,
    versions,
    note: (text) => {
      if (!notes.includes(text)) notes.push(text);
    },
  };
  const figures: Figure[] = [];
  try {
    for (const suite of suites) {
      const start = performance.now();
      figures.push(...(await runSuite(suite, context)));
      console.error(`${suite.name}: ${suite.about}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
    }
  } finally {
    workspace.remove();
  }
  const results = figures.filter(({ must }) => must !== null);
  const shown = figures.filter(({ must }) => must === null);
  const { quick, rows, batch } = options;
  return { machine: before, versions, quick, rows, batch, results, shown, notes };
}

/** A suite that fails is reported as missing and does not take the others with it. */
async function runSuite(suite: Suite, context: SuiteContext): Promise<Figure[]> {
  try {
    return await suite.run(context);
  } catch (error) {
    context.note(`suite ${suite.name} failed: ${(error as Error).message}`);
    process.exitCode = 1;
    return [];
  } finally {
    context.workspace.clear();
  }
}

function ownVersion(): string {
  const path = new URL("../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(path, "utf8")) as { version: string }).version;
}

main().catch((error: Error) => {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
});
