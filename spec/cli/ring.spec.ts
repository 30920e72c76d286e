import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import { joiner } from "../../lib/cli/ring-command.js";
import { ringReport } from "../../lib/cli/ring-report.js";
import { ringText } from "../../lib/cli/ring-text.js";
import { firstMap, nextMap } from "../../lib/ring/placement.js";
import { placementFingerprint } from "../../lib/ring/slot-map.js";
import { runHere } from "./run-command.js";

const test = suite<{ directory: string; file: string }>("ring on the command line");

const nodes = [
  { name: "a", host: "10.0.0.1", port: 7400, shards: 4, zone: "rack-1" },
  { name: "b", host: "10.0.0.2", port: 7400, shards: 4, zone: "rack-2" },
  { name: "c", host: "10.0.0.3", port: 7400, shards: 8, zone: "rack-3", weight: 2 },
];

test.before.each((context) => {
  context.directory = mkdtempSync(join(tmpdir(), "ring-command-spec-"));
  context.file = join(context.directory, "cluster.json");
  writeFileSync(context.file, JSON.stringify({ nodes }));
});
test.after.each(({ directory }) => rmSync(directory, { recursive: true, force: true }));

test("a table and a picture, without colours in a pipe", async ({ file }) => {
  const { out, err, code } = await runHere(["ring", file]);
  assert.is(code, 0, err);
  const fingerprint = placementFingerprint(firstMap(nodes));
  const lines = out.split("\n");
  assert.is(lines[0], `3 nodes, 16,384 slots, epoch 1, placement ${fingerprint}`);
  assert.match(
    lines[2],
    /^ {3}node {2}zone {4}weight {2}shards {2}slots {3}share {2}off by {2}slots a shard$/,
  );
  assert.match(lines[5], /^C {2}c {5}rack-3 +2 +8 +8,192 +8192\.0 +0\.0 +1024$/);
  assert.is(lines.length, 16);
  const picture = lines.slice(7, 15);
  for (const line of picture) assert.match(line, /^[ ,\d]{6} {2}[ABC]{64}$/);
  const letters = picture.join("").replace(/[^ABC]/g, "");
  assert.ok(Math.abs(letters.replace(/[^C]/g, "").length / letters.length - 0.5) < 0.1);
  assert.not.ok(out.includes("\x1b"));
});

test("what would move is said, beside the ideal", async ({ file }) => {
  const { out } = await runHere(["ring", file, "--join", "d:1.5:rack-4:2", "--leave", "a"]);
  assert.match(out, /^3 nodes, 16,384 slots, epoch 2,/);
  assert.match(
    out,
    /\n5,461 slots of 16,384 \(33\.33 %\) would move; the ideal is 5461\.3 \(33\.33 %\)\n\nfrom {2}to {2}slots\na {5}d {3}4,096\nb {5}d {5}455\nc {5}d {5}910\n$/,
  );
});

test("JSON has all of it", async ({ file }) => {
  const args = ["ring", file, "--join", "d", "--join", "e:0.5", "--json"];
  const report = JSON.parse((await runHere(args)).out);
  const map = nextMap(firstMap(nodes), [...nodes, { name: "d" }, { name: "e", weight: 0.5 }]);
  assert.is(report.fingerprint, placementFingerprint(map));
  assert.is(
    report.runs.reduce((sum: number, [, slots]: [number, number]) => sum + slots, 0),
    16_384,
  );
  assert.equal(report.nodes[4], {
    node: "e",
    zone: "",
    weight: 0.5,
    shards: 1,
    slots: 1489,
    share: 16_384 / 11,
    shardSlots: [1489, 1489],
  });
  assert.is(
    report.moved,
    report.moves.reduce((sum: number, { slots }: { slots: number }) => sum + slots, 0),
  );
  assert.ok(Math.abs(report.moved - report.ideal) < 2);
});

test("colours stand behind letters where they are wanted; many nodes have neither letters nor picture", () => {
  const written = { write: () => {}, columns: 80 };
  const map = firstMap(nodes);
  const report = ringReport({ members: nodes, map, fingerprint: "f" });
  const text = ringText(report, { out: written, err: written, heading: (title) => `<${title}>` });
  assert.match(text, /<.*node.*>\n/);
  assert.ok(text.includes("\u001b[48;5;33;38;5;231mA\u001b[0m"));
  const members = Array.from({ length: 60 }, (_, i) => ({ name: `n${i}` }));
  const many = ringReport({ members, map: firstMap(members), fingerprint: "f" });
  const plain = ringText(many, { out: written, err: written, heading: (title) => title });
  assert.is(plain.split("\n").length, 60 + 4);
});

test("joiners in short", () => {
  assert.equal(joiner("d"), { name: "d", zone: "" });
  assert.equal(joiner("d:2.5:rack-4:8"), { name: "d", weight: 2.5, zone: "rack-4", shards: 8 });
  assert.equal(joiner("d::rack-4"), { name: "d", zone: "rack-4" });
  for (const text of ["", ":1", "d:x", "d:1:z:1:5", "d:-1"])
    assert.throws(() => joiner(text), /expected name/);
});

test("what is wrong is said", async ({ directory, file }) => {
  const cases: [string[], RegExp, number][] = [
    [[join(directory, "none.json")], /^error IO: cluster file .*none\.json cannot be read/, 1],
    [
      [file, "--leave", "x"],
      /^error INVALID_OPTIONS: --leave: found no node "x" in .*, expected one of a, b, c/,
      2,
    ],
    [[file, "--join", "a"], /^error INVALID_OPTIONS: members: found two named "a"/, 2],
    [[file, "--join", "d:0"], /^error INVALID_OPTIONS: weight of d: found 0/, 2],
    [[file, "--join", "d:x"], /^error INVALID_OPTIONS: .*expected name\[:weight/, 2],
    [[file, "--leave", "a", "--leave", "b", "--leave", "c"], /^error INVALID_OPTIONS: members: found 0/, 2],
  ];
  for (const [args, message, expected] of cases) {
    const { code, err } = await runHere(["ring", ...args]);
    assert.match(err, message);
    assert.is(code, expected);
  }
});

test.run();
