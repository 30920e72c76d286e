// The threads that own page stores are used again, by one store at a time.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { returnPageThread, takePageThread } from "../../lib/store/page-threads.js";
import { openThreadPageStore } from "../../lib/store/thread-page-store.js";

const root = mkdtempSync(join(tmpdir(), "page-threads-spec-"));
const all = { gte: new Uint8Array(8), lt: new Uint8Array(8).fill(255) };
const key = new Uint8Array(8).fill(1);

async function openAndWrite(name: string, value: number) {
  const store = await openThreadPageStore(join(root, name));
  const batch = store.batch();
  batch.put(key, Uint8Array.of(value));
  await batch.write();
  return store;
}

test("a thread that comes back is taken again, and by one store at a time", async () => {
  const first = takePageThread();
  const second = takePageThread();
  assert.is.not(second, first);
  await returnPageThread(first);
  assert.is(takePageThread(), first);
  assert.is.not(takePageThread(), first);
  await returnPageThread(first);
  await first.terminate();
  assert.is.not(takePageThread(), first, "one that ended is nobody's");
});

test("stores after one another and beside one another have what is theirs", async () => {
  const one = await openAndWrite("one", 1);
  const two = await openAndWrite("two", 2);
  assert.equal(await one.get(key), Uint8Array.of(1));
  await one.close();
  const three = await openAndWrite("three", 3);
  assert.equal(await two.get(key), Uint8Array.of(2));
  assert.equal(await three.get(key), Uint8Array.of(3));
  await Promise.all([two.close(), three.close()]);
  const again = await openThreadPageStore(join(root, "one"), { create: false });
  assert.equal(await again.get(key), Uint8Array.of(1));
  await again.close();
});

test("a store that is closed with a question open answers nobody else's", async () => {
  const store = await openAndWrite("asked", 4);
  // Reads ahead: the batch after the first is asked for, and nobody takes it.
  const entries = store.entries(all)[Symbol.asyncIterator]();
  await entries.next();
  const late = store.get(key).catch((error: { code: string }) => error.code);
  await store.close();
  const next = await openAndWrite("next", 5);
  assert.equal(await next.get(key), Uint8Array.of(5));
  assert.ok(["IO", "CLOSED"].includes(String(await late)) || (await late) instanceof Uint8Array);
  await next.close();
});

test("a directory that is locked is refused, and a thread opens another", async () => {
  const holder = await openAndWrite("held", 6);
  const refused = await openThreadPageStore(join(root, "held")).then(
    () => "opened",
    (error: { code: string }) => error.code,
  );
  assert.is(refused, "LOCKED");
  const other = await openAndWrite("other", 7);
  assert.equal(await other.get(key), Uint8Array.of(7));
  await Promise.all([other.close(), holder.close()]);
});

test.after(() => rmSync(root, { recursive: true, force: true }));

test.run();
