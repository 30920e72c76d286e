import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { COMMAND, runCommand, runHere } from "./run-command.js";

const test = suite<{ directory: string }>("command line");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "cli-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** One line with a code, no stack. */
function assertFailure(
  { code, out, err }: { code: number | null; out: string; err: string },
  exit: number,
  line: RegExp,
) {
  assert.match(err, line);
  assert.is(err.split("\n").length, 2, `one line: ${err}`);
  assert.not.match(err, /\n\s+at /);
  assert.is(out, "");
  assert.is(code, exit);
}

test("help names every command, teaches by examples and says the exit codes", async () => {
  const { code, out, err } = await runCommand(["--help"]);
  assert.is(code, 0);
  assert.is(err, "");
  for (const word of [
    "demo",
    "inspect",
    "bench",
    "Examples:",
    "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 damage found, 130",
  ]) {
    assert.ok(out.includes(word), word);
  }
  for (const command of ["demo", "inspect", "bench"]) {
    const one = await runHere([command, "--help"]);
    assert.is(one.code, 0);
    assert.match(one.out, new RegExp(`Usage: embershard ${command}[^]*Examples:\n  embershard ${command}`));
    assert.equal(one, await runHere(["help", command]), `help ${command}`);
  }
});

test("without a command it shows help and fails as wrong usage", async () => {
  const { code, out, err } = await runHere([]);
  assert.is(code, 2);
  assert.is(out, "");
  assert.match(err, /Usage: embershard/);
});

test("commands that work on directories say so where they are given an address of nodes", async ({
  directory,
}) => {
  const nodes = "ember://127.0.0.1:7400";
  const commands = [
    ["inspect", nodes],
    ["top", nodes, "--table", "t"],
    ["histogram", nodes, "--table", "t"],
    ["evict", nodes, "--table", "t", "--rows", "1"],
    ["export", nodes, join(directory, "t.parquet"), "--table", "t"],
    ["import", nodes, join(directory, "t.parquet"), "--table", "t"],
    ["verify", nodes],
    ["repair", nodes],
    ["reshard", nodes, "--shards", "2"],
    ["backup", nodes, directory],
    ["backup", directory, nodes],
    ["restore", nodes, directory],
    ["restore", directory, nodes],
    ["demo", "--dir", nodes],
  ];
  for (const command of commands)
    assertFailure(
      await runHere(command),
      2,
      /^error INVALID_OPTIONS: .*expected a directory, this is an address of nodes: .* connect\(\)/,
    );
});

test("tells the version of the package", async () => {
  const { version } = JSON.parse(readFileSync(new URL("../../../package.json", import.meta.url), "utf8"));
  assert.equal(await runCommand(["--version"]), { code: 0, out: `${version}\n`, err: "" });
});

test("wrong usage is one line that says what, and exit code 2", async ({ directory }) => {
  const wrong: [string[], RegExp][] = [
    [["conjure"], /^error INVALID_OPTIONS: unknown command 'conjure'; see embershard --help\n$/],
    [
      ["inspekt"],
      /^error INVALID_OPTIONS: unknown command 'inspekt' \(Did you mean inspect\?\); see embershard --help\n$/,
    ],
    [["inspect"], /missing required argument 'dir'; see embershard inspect --help/],
    [["inspect", directory, "--bogus"], /unknown option '--bogus'; see embershard inspect --help/],
    [["inspect", directory, "more"], /too many arguments/],
    [["inspect", directory, "--keys", "1"], /--keys, --feature and --values need --table/],
    [["inspect", directory, "--table", "t"], /does not say which rows/],
    [["inspect", directory, "--table", "t", "--keys", "1,,2"], /expected texts with commas between/],
    [["inspect", directory, "--table", "t", "--values", "1"], /--feature and --values go together/],
    [["inspect", directory, "--table", "t", "--keys", "1", "--feature", "f", "--values", "1"], /not both/],
    [["demo", "--epochs", "many"], /'--epochs <n>' argument 'many' is invalid. expected a whole number/],
    [["demo", "--epochs", "0", "--dir", directory], /--epochs: found 0, expected a whole number from 1 to/],
  ];
  const ended = await Promise.all(wrong.map(([args]) => runHere(args)));
  for (const [i, [, line]] of wrong.entries()) {
    assertFailure(ended[i], 2, line);
    assert.match(ended[i].err, /^error INVALID_OPTIONS: /);
  }
});

test("what is not there, or not a store, is one line with its code", async ({ directory }) => {
  assertFailure(await runHere(["inspect", join(directory, "missing")]), 1, /^error NOT_A_STORE: .*missing/);
  assertFailure(await runHere(["inspect", directory]), 1, /^error NOT_A_STORE: /);
  const file = join(directory, "file");
  writeFileSync(file, "text");
  assertFailure(await runHere(["inspect", file, "--json"]), 1, /^error NOT_A_STORE: /);
  assertFailure(
    await runHere(["demo", join(directory, "data")]),
    1,
    /^error INVALID_ARGUMENT: cannot read u\.data in .*data; expected/,
  );
});

test("the installed package has the demo, and says that the benchmark is not in it", async ({
  directory,
}) => {
  const clone = fileURLToPath(new URL("../../../", import.meta.url));
  const { files } = JSON.parse(readFileSync(join(clone, "package.json"), "utf8"));
  for (const file of ["package.json", ...files]) {
    if (existsSync(join(clone, file))) cpSync(join(clone, file), join(directory, file), { recursive: true });
  }
  symlinkSync(join(clone, "node_modules"), join(directory, "node_modules"));
  const main = join(directory, "dist", "lib", "cli", "main.js");
  const bench = await runCommand(["bench", "--quick"], {}, main);
  assertFailure(bench, 1, /^error UNSUPPORTED: the benchmark is not part of the installed package: clone/);
  const demo = await runCommand(
    ["demo", "--epochs", "1", "--dir", join(directory, "out"), "--json"],
    {},
    main,
  );
  assert.is(demo.code, 0, demo.err);
  assert.is(JSON.parse(demo.out).epochs, 1);
});

test("a reader who has had enough is no failure", async () => {
  const child = spawn(process.execPath, [COMMAND, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let err = "";
  child.stderr.on("data", (data) => (err += data));
  const [code] = await once(child, "close");
  assert.is(err, "");
  assert.is(code, 0);
});

test.run();
