// docs/errors.md says of every code what lib/base/errors.ts says, in the order of its numbers.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { ERRORS } from "../../lib/index.js";
import { ROOT } from "./documents.js";

test("the document's table is the library's", () => {
  const text = readFileSync(join(ROOT, "docs", "errors.md"), "utf8");
  const rows = [...text.matchAll(/^\| (\d+) \| `(\w+)` \| (yes|no) \| (.*?) \| (.*?) \|$/gm)];
  const said = rows.map(([, wire, code, retry, meaning]) => ({
    code,
    wire: Number(wire),
    retry: retry === "yes",
    meaning,
  }));
  const known = Object.entries(ERRORS).map(([code, entry]) => ({ code, ...entry }));
  assert.equal(said, known);
  for (const [row, , , , , advice] of rows) assert.ok(advice.length > 0, row);
});

test("numbers are given once", () => {
  const numbers = Object.values(ERRORS).map(({ wire }) => wire);
  assert.is(new Set(numbers).size, numbers.length);
});

test.run();
