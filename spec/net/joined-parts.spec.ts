// Short parts of a message go in one piece, in memory that is used again once the message has been taken.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { PartJoiner } from "../../lib/net/joined-parts.js";

const part = (bytes: number, value: number) => new Uint8Array(bytes).fill(value);
const lengthsOf = (pieces: readonly Uint8Array[]) => pieces.map(({ length }) => length);

test("short neighbours are joined up to 64 KiB, long parts go as they are", () => {
  const long = part(100_000, 3);
  const { pieces } = new PartJoiner().join([
    part(14, 1),
    part(200, 2),
    long,
    part(40_000, 4),
    part(30_000, 5),
  ]);
  assert.equal(lengthsOf(pieces), [214, 100_000, 40_000, 30_000]);
  assert.is(pieces[1], long);
  assert.equal([...pieces[0].subarray(12, 16)], [1, 1, 2, 2]);
});

test("what comes out is what went in, in order", () => {
  const parts = [part(0, 9), ...Array.from({ length: 50 }, (_, i) => part((i * 4001) % 70_000, i))];
  const { pieces } = new PartJoiner().join(parts);
  assert.is(Buffer.compare(Buffer.concat(pieces), Buffer.concat(parts)), 0);
  assert.ok(pieces.length < parts.length / 1.5);
});

test("a piece stays as it is until its message was taken, and then its memory is used again", () => {
  const joiner = new PartJoiner();
  const first = joiner.join([part(10, 1), part(10, 2)]);
  const second = joiner.join([part(10, 3), part(10, 4)]);
  assert.is.not(first.pieces[0].buffer, second.pieces[0].buffer);
  first.release();
  const third = joiner.join([part(10, 5), part(10, 6)]);
  assert.is(third.pieces[0].buffer, first.pieces[0].buffer);
  assert.equal([...second.pieces[0].subarray(8, 12)], [3, 3, 4, 4]);
});

test.run();
