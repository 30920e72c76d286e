import { suite } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError } from "../../lib/base/errors.js";
import { failureOf } from "../../lib/cli/failure.js";
import { outputOf } from "../../lib/cli/output.js";
import { bytesText, countText, durationText, textTable } from "../../lib/cli/text-table.js";

const test = suite("text of the command line");

test("columns are as wide as their widest text, numbers at the right", () => {
  const lines = textTable<[string, number]>(
    [
      { title: "name", text: ([name]) => name },
      { title: "n", align: "right", text: ([, n]) => countText(n) },
      { title: "last", text: ([name]) => name[0] },
    ],
    [
      ["items", 1234567],
      ["b", 7],
    ],
  );
  assert.equal(lines, ["name           n  last", "items  1,234,567  i", "b              7  b"]);
});

test("where lines would be too long, the columns go that can be spared, and no more of them than have to", () => {
  const table = (width: number) =>
    textTable<number>(
      [
        { title: "n", text: String },
        { title: "square", text: (n) => String(n * n), spare: 1 },
        { title: "cube", text: (n) => String(n ** 3), spare: 2 },
        { title: "half", text: (n) => String(n / 2) },
      ],
      [4],
      width,
    );
  assert.equal(table(21), ["n  square  cube  half", "4  16      64    2"]);
  assert.equal(table(20), ["n  square  half", "4  16      2"]);
  assert.equal(table(14), ["n  half", "4  2"]);
  assert.equal(table(3), table(14));
});

test("counts, bytes and durations in the unit that suits them", () => {
  assert.equal([0, 999, 1000, 123456789].map(countText), ["0", "999", "1,000", "123,456,789"]);
  assert.equal([0, 1023, 1024, 1536, 5 * 2 ** 30].map(bytesText), [
    "0 B",
    "1023 B",
    "1.0 KiB",
    "1.5 KiB",
    "5.0 GiB",
  ]);
  assert.equal([400, 119_000, 180_000, 8_000_000, 2e8].map(durationText), [
    "0 s",
    "119 s",
    "3 min",
    "2 h",
    "2 days",
  ]);
});

test("headings are emphasized on a terminal that wants it, nowhere else", () => {
  const terminal = { write: () => {}, isTTY: true };
  const pipe = { write: () => {} };
  const heading = (out: typeof pipe, environment: NodeJS.ProcessEnv) =>
    outputOf(out, pipe, environment).heading("h");
  assert.is(heading(terminal, {}), "\x1b[1mh\x1b[22m");
  assert.is(heading(pipe, {}), "h");
  assert.is(heading(terminal, { NO_COLOR: "1" }), "h");
  assert.is(heading(terminal, { NO_COLOR: "" }), "\x1b[1mh\x1b[22m", "an empty NO_COLOR is none");
  assert.is(heading(terminal, { TERM: "dumb" }), "h");
});

test("failures are one line with a code; a trace only for bugs, and on request", () => {
  const io = Object.assign(new Error("EACCES: permission denied, open 'x'"), {
    syscall: "open",
    code: "EACCES",
  });
  assert.equal(failureOf(new EmbershardError("LOCKED", "by 12"), {}), {
    text: "error LOCKED: by 12\n",
    exitCode: 1,
  });
  assert.equal(failureOf(new EmbershardError("INVALID_OPTIONS", "no"), {}).exitCode, 2);
  const both = Object.assign(new Error("An error was suppressed during disposal."), {
    name: "SuppressedError",
    error: new EmbershardError("IO", "cannot be closed"),
    suppressed: new EmbershardError("READ_ONLY", "the disk is full"),
  });
  assert.equal(failureOf(both, {}), { text: "error READ_ONLY: the disk is full\n", exitCode: 1 });
  assert.equal(failureOf(io, {}), { text: "error IO: EACCES: permission denied, open 'x'\n", exitCode: 1 });
  const bug = failureOf(new TypeError("oops"), {});
  assert.is(bug.text, "error INTERNAL: oops (this is a bug; EMBERSHARD_TRACE=1 shows where)\n");
  assert.match(failureOf(new TypeError("oops"), { EMBERSHARD_TRACE: "1" }).text, /TypeError: oops\n\s+at /);
});

test.run();
