import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { quantity } from "../../lib/cli/plan-command.js";
import { adagrad, planModel, sgd } from "../../lib/index.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string }>("plan on the command line");

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "plan-command-spec-"));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

test("one table by options, several by a file", async ({ directory }) => {
  const one = await runHere(["plan", "--rows", "4M", "--dim", "64", "--rate", "500k", "--json"]);
  const options = { dim: 64, optimizer: adagrad({ learningRate: 0.1 }) };
  assert.equal(
    JSON.parse(one.out),
    planModel({ tables: [{ rows: 4e6, options }], rowsPerSecond: 5e5 }),
    one.err,
  );
  const file = join(directory, "model.json");
  writeFileSync(
    file,
    JSON.stringify({
      tables: [
        { rows: 4e6, dim: 64 },
        { rows: 1000, dim: 8, optimizer: "sgd", logged: false },
      ],
    }),
  );
  const several = await runHere(["plan", file, "--json"]);
  const plain = { dim: 8, optimizer: sgd({ learningRate: 0.1 }), logged: false };
  assert.equal(
    JSON.parse(several.out),
    JSON.parse(
      JSON.stringify(
        planModel({
          tables: [
            { rows: 4e6, options },
            { rows: 1000, options: plain },
          ],
        }),
      ),
    ),
    several.err,
  );
});

test("people read it in units", async () => {
  const { out } = await runHere(["plan", "--rows", "4M", "--dim", "64"]);
  assert.match(out, /^memory {6}2\.0 GiB in 1 arena\nprocess {5}2\.\d GiB with buffers and Node\.js\ndisk /);
  assert.match(out, /\n {5}rows {2}bytes a row {2}weights and state {4}pages {5}index\n4,000,000 /);
});

test("quantities", () => {
  const texts = ["1e9", "250M", "4_000_000", "1.5k", "2G", "2.3M", "1.5e1k"];
  assert.equal(texts.map(quantity), [1e9, 250e6, 4e6, 1500, 2e9, 2_300_000, 15_000]);
  for (const text of ["", "0", "-1", "1e999", "1x", "M"])
    assert.throws(() => quantity(text), /above 0/, text);
});

test("what is missing or wrong is said", async ({ directory }) => {
  const broken = join(directory, "broken.json");
  writeFileSync(broken, "{");
  const cases: [string[], RegExp][] = [
    [["--dim", "8"], /INVALID_OPTIONS: say --rows and --dim, or give a file/],
    [
      ["--rows", "1.5", "--dim", "8"],
      /INVALID_OPTIONS: plan: found rows 1.5, expected a whole number above 0/,
    ],
    [["--rows", "5", "--dim", "8", "--batch", "1.5"], /INVALID_OPTIONS: plan: found keysPerPush 1.5/],
    [["--rows", "5", "--dim", "8", "--optimizer", "magic"], /INVALID_OPTIONS: .*Allowed choices/],
    [[broken], /INVALID_OPTIONS: .*broken\.json is not JSON/],
  ];
  for (const [args, expected] of cases) {
    const { code, err } = await runHere(["plan", ...args]);
    assert.is(code, 2);
    assert.match(err, expected);
  }
});

test.run();
