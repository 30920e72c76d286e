// Runs the bench on tiny tables, so that it cannot rot. Its figures mean nothing here.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { TARGETS } from "../../bench/targets.js";

const main = fileURLToPath(new URL("../../bench/main.js", import.meta.url));

/** All but what goes over the wire: nodes and clients in processes of their own take minutes, and their own specs run them. */
const suites = [
  ...["pull", "push", "level", "resident", "recovery", "creation", "checkpoint", "growth", "sizes"],
  ...["storage", "transfer", "admission", "eviction", "verify", "cold", "ring"],
];

test("every suite of one process runs, every figure is there, nothing is left behind", () => {
  const directory = mkdtempSync(join(tmpdir(), "bench-spec-"));
  try {
    const json = join(directory, "bench.json");
    const plot = join(directory, "plot");
    const args = [
      ...suites,
      "--quick",
      "--rows",
      "20000",
      "--round-ms",
      "2",
      "--python",
      "no-such-python",
      "--json",
      json,
      "--plot",
      plot,
    ];
    const text = execFileSync(process.execPath, [main, ...args, "--dir", directory], {
      encoding: "utf8",
      stdio: "pipe",
    });
    const report = JSON.parse(readFileSync(json, "utf8"));
    const compiled = report.versions.cc !== undefined;
    const names = Object.keys(TARGETS).filter((name) => {
      if (name.includes("-over-fbgemm") || name.includes("-over-pytorch")) return false;
      if (name.startsWith("net-")) return false;
      return compiled || !/^(pull|push)-\d+$/.test(name);
    });
    assert.equal(report.results.map((result: { name: string }) => result.name).sort(), names.sort());
    for (const { name, value, ratio } of report.results) {
      assert.ok(value > 0 && (ratio === null || ratio > 0), name);
      assert.ok(text.includes(name), name);
    }
    assert.match(text, /quick: small tables/);
    assert.match(text, /PyTorch is left out \(no-such-python\)/);
    for (const name of ["sizes", "cold", "ring-imbalance", "ring-moved"])
      assert.ok(readFileSync(join(plot, `${name}.svg`), "utf8").startsWith("<svg"), name);
    const cold = report.shown.find((figure: { name: string }) => figure.name === "pull-cold-64-2x");
    assert.match(cold.note, /% of the keys in memory/);
    assert.equal(readdirSync(directory).sort(), ["bench.json", "plot"]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

test("a name that matches no suite and a wrong option end with 2 and say what there is", () => {
  for (const args of [["no-such-suite"], ["--no-such-option"], ["--rows", "3"]]) {
    let failure: { status?: number; stderr?: string } = {};
    try {
      execFileSync(process.execPath, [main, ...args], { encoding: "utf8", stdio: "pipe" });
    } catch (error) {
      failure = error as typeof failure;
    }
    assert.is(failure.status, 2);
    assert.match(failure.stderr!, /recovery/);
  }
});

test.run();
