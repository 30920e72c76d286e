// The scripts are run by the shells they are for. zsh is not everywhere: without it its script is only looked at.
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("completion");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "completion-spec-"));
  writeFileSync(join(context.directory, "model"), "");
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** What is typed, the last word being the one to complete, and some of what is offered. */
const cases: readonly (readonly [string[], RegExp])[] = [
  [["embershard", ""], /^demo .*inspect .*top .*histogram .*help$/],
  [["embershard", "histogram", "--of", ""], /^frequency norm age$/],
  [["embershard", "help", ""], /^demo .*inspect/],
  [["embershard", "completion", ""], /^bash zsh$/],
];

function runShell(shell: string, args: string[], script: string, directory: string): string[] {
  const { status, stdout, stderr } = spawnSync(shell, [...args, "-c", script], {
    cwd: directory,
    encoding: "utf8",
  });
  assert.is(status, 0, stderr);
  return stdout.split("\n").slice(0, -1);
}

const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(" ");

test("bash completes commands, choices, options and files", async ({ directory }) => {
  const { out, code } = await runHere(["completion", "bash"]);
  assert.is(code, 0);
  const prefixed: typeof cases = [
    ...cases,
    [["embershard", "hi"], /^histogram$/],
    [["embershard", "top", "--b"], /^--by$/],
    [["embershard", "top", "mo"], /^model$/],
    [["embershard", "ring", "mo"], /^model$/],
    [["embershard", "ring", "--j"], /^--join --json$/],
  ];
  const tries = prefixed.map(
    ([words]) =>
      `COMP_WORDS=(${quoted(words)}); COMP_CWORD=${words.length - 1}; _embershard; echo "\${COMPREPLY[*]}"`,
  );
  const lines = runShell("bash", ["--norc"], `${out}\n${tries.join("\n")}`, directory);
  prefixed.forEach(([words, expected], i) => {
    assert.match(lines[i], expected, words.join(" "));
  });
});

test("bash completes a name with spaces as one", async ({ directory }) => {
  writeFileSync(join(directory, "my rows.parquet"), "");
  const { out } = await runHere(["completion", "bash"]);
  const tried = `COMP_WORDS=(embershard top my); COMP_CWORD=2; _embershard; printf '%s\\n' "\${COMPREPLY[@]}"`;
  assert.equal(runShell("bash", ["--norc"], `${out}\n${tried}`, directory), ["my rows.parquet"]);
});

test("zsh completes the same", async ({ directory }) => {
  const { out } = await runHere(["completion", "zsh"]);
  assert.match(out, /^#compdef embershard\n/);
  if (spawnSync("zsh", ["--version"]).error) return;
  // Outside of a completion zsh has no compadd: what the script would add is printed. Its last line completes at once.
  const script = out.replace(/_embershard "\$@"\n$/, "");
  const tries = cases.map(([words]) => `words=(${quoted(words)}); CURRENT=${words.length}; _embershard`);
  const shown = `compadd() { shift; print -r -- "$@" }\n_files() { print files }\n`;
  const lines = runShell("zsh", ["-f"], `${script}\n${shown}${tries.join("\n")}`, directory);
  cases.forEach(([words, expected], i) => {
    assert.match(lines[i], expected, words.join(" "));
  });
});

test("another shell is refused", async () => {
  const { code, err } = await runHere(["completion", "fish"]);
  assert.is(code, 2);
  assert.match(err, /^error INVALID_OPTIONS: .*Allowed choices are bash, zsh/);
});

test.run();
