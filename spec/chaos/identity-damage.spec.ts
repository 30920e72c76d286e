import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { EmbershardError, openStore, sgd } from "../../lib/index.js";

const directory = mkdtempSync(join(tmpdir(), "embershard-identity-"));
const path = join(directory, "store");
const options = { control: false, hugePages: "off", checkpoint: false } as const;

test.after(() => rmSync(directory, { recursive: true, force: true }));

/** "whole", or the code of the error and its message. */
async function outcomeOf(bytes: Uint8Array): Promise<{ code: string; message: string }> {
  writeFileSync(path, bytes);
  try {
    const store = await openStore(directory, options);
    const [row] = await (await store.table("t")).pull(BigUint64Array.of(1n));
    await store.close();
    assert.is(row, -1);
    return { code: "whole", message: "" };
  } catch (error) {
    assert.instance(error, EmbershardError, (error as Error).stack!);
    return error as EmbershardError;
  }
}

test("a damaged identity file is reported, or without effect", async () => {
  const store = await openStore(directory, options);
  const table = await store.table("t", { dim: 1, optimizer: sgd({ learningRate: 1 }) });
  await table.push(BigUint64Array.of(1n), Float32Array.of(1));
  await store.close();
  const whole = readFileSync(path);
  const codes = new Set<string>();
  for (let byte = 0; byte < whole.length; byte++) {
    const bytes = Uint8Array.from(whole);
    bytes[byte] ^= 1 << ((byte * 3) % 8);
    const { code, message } = await outcomeOf(bytes);
    codes.add(code);
    if (code !== "whole") assert.match(message, /store|log segment/, `byte ${byte}`);
  }
  for (let length = 0; length < whole.length - 1; length += 7) {
    assert.is((await outcomeOf(whole.subarray(0, length))).code, "CORRUPT", `cut to ${length}`);
  }
  for (const text of ["null", "[]", "1", '"store"', "{}"]) {
    assert.is((await outcomeOf(new TextEncoder().encode(text))).code, "CORRUPT", text);
  }
  for (const code of codes)
    assert.ok(["whole", "CORRUPT", "NEWER_FORMAT", "SHARD_COUNT"].includes(code), code);
  assert.ok(codes.has("CORRUPT"));
  assert.is((await outcomeOf(whole)).code, "whole");
});

test.run();
