// docs/wire.md says of versions, bodies, features, columns and bytes what the code does.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { FIRST_TERMS, replyItems, requestItems } from "../../lib/wire/frame.js";
import { FrameWriter } from "../../lib/wire/frame-writer.js";
import { Column, ElementType } from "../../lib/wire/generated/frame-types.js";
import { bodies, featureNames, tables } from "../../lib/wire/generated/schema-tables.js";
import { PROTOCOL } from "../../lib/wire/handshake.js";
import { ROOT } from "./documents.js";

const text = readFileSync(join(ROOT, "docs", "wire.md"), "utf8");

test("the version is the code's", () => {
  assert.match(text, `This is version **${PROTOCOL.major}.${PROTOCOL.minor}** of the protocol`);
});

test("every body is named with its number", () => {
  const section = text.slice(text.indexOf("## Requests"), text.indexOf("### Tables"));
  const said = new Map<string, number>();
  for (const [, number, name] of section.matchAll(/^\| (\d+) \| `(\w+)`/gm)) said.set(name, Number(number));
  for (const [, name, number] of section.matchAll(/`(\w+)` \((\d+)\)/g)) {
    assert.not.ok(said.has(name), `${name} is numbered twice`);
    said.set(name, Number(number));
  }
  const known = bodies.slice(1).map((table, i) => [tables[table].name, i + 1] as const);
  assert.equal(
    [...said].sort((a, b) => a[1] - b[1]),
    known.map((one) => [...one]),
  );
});

test("features, columns and element types are the schema's", () => {
  const rows = (from: string, pattern: RegExp) => {
    const start = text.indexOf(from);
    assert.ok(start >= 0, from);
    const table = text.slice(start, text.indexOf("\n\n", start));
    return [...table.matchAll(pattern)].map(([, number, name]) => [name, Number(number)]);
  };
  assert.equal(
    rows("| bit | feature |", /^\| (\d+) \| `(\w+)`/gm),
    featureNames.map((name, i) => [name, i]),
  );
  assert.equal(rows("| bit | column |", /^\| (\d+) \| `(\w+)`/gm), Object.entries(Column));
  assert.equal(rows("| element type | |", /^\| (\d+) \| `(\w+)`/gm), Object.entries(ElementType));
});

test("the limits of a frame are the code's", () => {
  const grouped = (value: number) => value.toLocaleString("en");
  assert.match(
    text,
    `at most ${grouped(requestItems)} in a request, ${FIRST_TERMS.items} in a \`Hello\`, ${grouped(replyItems)} in an answer`,
  );
});

test("the frame byte by byte is what is written", () => {
  const section = text.slice(text.indexOf("## A frame, byte by byte"));
  const said: string[] = [];
  for (const [, at, bytes] of section.matchAll(/^\| (\d+) \| `([0-9a-f ]+)`/gm)) {
    assert.is(said.length, Number(at));
    said.push(...bytes.split(" "));
  }
  const written = new FrameWriter().write({ id: 0, body: { kind: "Cancel", request: 258 } }).toBytes();
  assert.equal(said, Buffer.from(written).toString("hex").match(/../g));
});

test.run();
