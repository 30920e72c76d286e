// What a call says of its parts that failed.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../lib/base/clock.js";
import { EmbershardError } from "../../lib/base/errors.js";
import { Call, type Part, settleAll } from "../../lib/client/call.js";
import type { Cluster } from "../../lib/client/cluster.js";
import { PartialError } from "../../lib/client/partial-error.js";

const cluster = {
  map: { epoch: 1n },
  ownerName: (owner: number) => `node ${"abc"[owner]}`,
  adopt: () => undefined,
} as unknown as Cluster;

/** A part that ends at once: done, or with an error. */
function part(owner: number, keys: number, error?: EmbershardError): Part {
  return {
    owner,
    keys,
    epoch: cluster.map.epoch,
    attempt: () => (error ? Promise.reject(error) : Promise.resolve()),
    abandon: () => undefined,
    replan: () => Promise.resolve(),
  } as Part;
}

async function failureOf(parts: readonly Part[]): Promise<EmbershardError> {
  const call = new Call(cluster, { clock: systemClock, random: () => 0, deadlineMs: 0, tries: 1 });
  try {
    await settleAll(call, cluster, parts, "a write");
  } catch (error) {
    return error as EmbershardError;
  } finally {
    call.close();
  }
  throw new Error("it went well");
}

const late = new EmbershardError("DEADLINE", "there was no answer");

test("where all parts fail alike the error is theirs, where some do it lists them", async () => {
  assert.is(await failureOf([part(0, 3, late), part(1, 4, late)]), late);
  const error = await failureOf([part(0, 3), part(1, 4, late)]);
  assert.ok(error instanceof PartialError);
  assert.equal(error.parts, [{ owner: "node b", keys: 4, error: late }]);
});

test("a part that was planned anew and failed in part lists what failed, and not itself", async () => {
  const within = new PartialError("a write", [{ owner: "node c", keys: 2, error: late }], 3);
  for (const others of [[part(0, 12)], [part(0, 12), part(1, 1, late)]]) {
    const error = await failureOf([...others, part(1, 3, within)]);
    assert.ok(error instanceof PartialError);
    assert.ok(
      error.parts.every((one) => one.error.code === "DEADLINE"),
      error.message,
    );
    assert.is(
      error.parts.reduce((sum, { keys }) => sum + keys, 0),
      others.length + 1,
    );
  }
});

test("as many failures as parts are not all parts", async () => {
  const failures = ["node a", "node c"].map((owner) => ({ owner, keys: 1, error: late }));
  const error = await failureOf([part(0, 12), part(1, 3, new PartialError("a write", failures, 3))]);
  assert.ok(error instanceof PartialError, "12 keys were written");
  assert.equal(error.parts, failures);
});

test.run();
