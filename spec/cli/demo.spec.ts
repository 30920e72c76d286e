import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { COMMAND, runCommand, runHere } from "./run-command.js";

const test = suite<{ directory: string }>("demo and inspect");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "demo-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

/** Starts a demo, and gives it when it has told of `epochs` epochs. */
async function startDemo(directory: string, epochs: number, args: readonly string[]) {
  const child = spawn(process.execPath, [COMMAND, "demo", "--dir", directory, ...args], { stdio: "pipe" });
  let err = "";
  child.stdout.resume();
  child.stderr.on("data", (data) => (err += data));
  const told = () => err.match(/^epoch /gm)?.length ?? 0;
  while (told() < epochs)
    await Promise.race([once(child.stderr, "data"), once(child, "exit").then(() => assert.unreachable(err))]);
  const ended = once(child, "close").then(([code]) => ({ code: code as number | null, err }));
  return { child, ended };
}

test("ended with Ctrl-C it exits with 130, and started again it gets where a whole run gets", async ({
  directory,
}) => {
  const parts = join(directory, "parts");
  const { child, ended } = await startDemo(parts, 1, ["--epochs", "3"]);
  child.kill("SIGINT");
  const interrupted = await ended;
  assert.is(interrupted.code, 130, interrupted.err);
  assert.match(
    interrupted.err,
    /interrupted after \d+ steps; nothing is lost: the same command goes on from here\n$/,
  );
  const again = await runHere(["demo", "--dir", parts, "--epochs", "3", "--json"]);
  assert.is(again.code, 0);
  assert.match(again.err, /^going on after epoch \d, batch \d+ of 188$/m);
  const whole = await runHere(["demo", "--dir", join(directory, "whole"), "--epochs", "3", "--json"]);
  const result = ({ out }: { out: string }) => {
    const { rmse, auc, curve } = JSON.parse(out);
    return { rmse, auc, curve };
  };
  assert.equal(result(again), result(whole));
  assert.ok(result(whole).rmse < 1 && result(whole).auc > 0.7, whole.out);
  assert.is(whole.out.trimEnd().split("\n").length, 1, "one JSON object, nothing else");
  assert.match(
    readFileSync(join(parts, "learning-curve.svg"), "utf8"),
    /^<svg [\s\S]*held out[\s\S]*<\/svg>\n$/,
  );
});

test("a finished run is reported; another seed is refused; --fresh starts over", async ({ directory }) => {
  const one = ["demo", "--dir", directory, "--epochs", "1"];
  const demo = (...args: string[]) => runHere([...one, ...args]);
  const first = await runCommand(one);
  assert.is(first.code, 0);
  assert.match(first.out, /^held-out RMSE 0\.\d{4}, AUC of "4 stars or more" 0\.\d{4}\n1 epochs \(/);
  const hint = first.out.match(/^look inside +node .*main\.js (inspect .*)$/m)?.[1] ?? "";
  assert.is((await runHere(hint.split(" "))).code, 0, "the report says how to look at the parameters");
  const second = await demo();
  assert.match(
    second.err,
    /^this run was finished before: more --epochs go on, --fresh starts over\nepoch 1\/1 .*held out 0\.\d{4}$/m,
  );
  assert.match(second.out, /was trained before/);
  assert.is(second.out.split("\n")[0], first.out.split("\n")[0]);
  const other = await demo("--seed", "2");
  assert.is(other.code, 2);
  assert.match(other.err, /^error INVALID_OPTIONS: the store holds another run .*--fresh to start over$/m);
  assert.is((await demo("--seed", "2", "--fresh")).code, 0);
});

test("--fresh removes nothing but a store", async ({ directory }) => {
  writeFileSync(join(directory, "model"), "a file of the user's");
  const { code, err } = await runHere(["demo", "--dir", directory, "--fresh"]);
  assert.is(code, 1);
  assert.match(err, /^error NOT_A_STORE: /m);
  assert.ok(existsSync(join(directory, "model")));
});

test("a live store is inspected through its owner, and has no second one; a closed store is opened", async ({
  directory,
}) => {
  const { child, ended } = await startDemo(directory, 1, ["--epochs", "150"]);
  const model = join(directory, "model");
  const inspect = (...args: string[]) => runHere(["inspect", model, ...args]);
  const rows = ["--table", "factors", "--feature", "genre", "--values", "Drama,Nonsense"];
  const [live, liveText, liveRows, second] = await Promise.all([
    inspect("--json"),
    inspect(),
    inspect(...rows, "--json"),
    runCommand(["demo", "--dir", directory]),
  ]);
  assert.is(JSON.parse(live.out).owner, child.pid);
  assert.match(liveText.out, new RegExp(`^state +open in process ${child.pid}$`, "m"));
  assert.is(second.code, 1);
  assert.match(second.err, new RegExp(`^error LOCKED: .*\\b${child.pid}\\b`, "m"));
  child.kill("SIGINT");
  assert.is((await ended).code, 130);

  const closed = JSON.parse((await inspect("--json")).out);
  assert.is(closed.owner, null);
  assert.equal(Object.keys(closed).sort(), Object.keys(JSON.parse(live.out)).sort());
  assert.equal(closed.tables.map(({ name }: { name: string }) => name).sort(), [
    "bias",
    "factors",
    "weights",
  ]);
  const [drama, nonsense] = JSON.parse((await inspect(...rows, "--json")).out).rows;
  assert.equal([drama.value, drama.found, drama.weights.length, drama.state.length], ["Drama", true, 16, 16]);
  assert.equal([nonsense.value, nonsense.found], ["Nonsense", false]);
  assert.is(JSON.parse(liveRows.out).rows[0].key, drama.key);
  const { out } = await inspect("--table", "weights", "--keys", drama.key);
  assert.match(out, new RegExp(`^weights, dim 1\n *key +weights +state\n *${drama.key} +-?\\d`));
  const unknown = await inspect("--table", "none", "--keys", "1");
  assert.match(unknown.err, /^error TABLE_NOT_FOUND: /);
});

test.run();
