// A shard's life that is abandoned: nothing listens when its thread ends, however far the life had come.
import { test } from "uvu";
import * as assert from "uvu/assert";
import { systemClock } from "../../lib/base/clock.js";
import type { EmbershardError } from "../../lib/base/errors.js";
import { DEFAULT_SOCKET_LIMITS, type Listener } from "../../lib/net/connection.js";
import { type Service, ShardHost } from "../../lib/node/shard-host.js";
import type { Shard } from "../../lib/shard/shard.js";
import { turns } from "../shard/fault-fixture.js";

/** A host that opens and listens when it is told to. */
function slowHost(port: number) {
  const happened: string[] = [];
  const waiting: (() => void)[] = [];
  const wait = () => new Promise<void>((resolve) => waiting.push(resolve));
  let listening = 0;
  const host = new ShardHost<Service>({
    open: async () => {
      await wait();
      return { close: async () => void happened.push("shard closed") } as unknown as Shard;
    },
    serve: () => ({ accept: () => assert.unreachable() as never, drain: async () => {} }),
    transport: {
      listen: async (): Promise<Listener> => {
        happened.push("listens");
        await wait();
        listening++;
        let open = true;
        return {
          host: "127.0.0.1",
          port: 7000,
          connections: 0,
          close: async () => {
            if (open) listening--;
            open = false;
          },
        };
      },
    },
    at: { host: "127.0.0.1", port },
    limits: DEFAULT_SOCKET_LIMITS,
    clock: systemClock,
    report: () => assert.unreachable("there is nothing to tell"),
  });
  return {
    host,
    happened,
    listening: () => listening,
    /** Lets what waits go on. */
    async go() {
      for (const resume of waiting.splice(0)) resume();
      await turns();
    },
  };
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => undefined,
    (error: EmbershardError) => error.code,
  );

for (const port of [7000, 0])
  for (let steps = 0; steps < (port === 0 ? 4 : 3); steps++)
    test(`port ${port}, abandoned after ${steps} steps: nothing listens, then or later, and the directory is let go`, async () => {
      const { host, happened, listening, go } = slowHost(port);
      const starting = codeOf(host.start());
      await turns();
      for (let step = 0; step < steps; step++) await go();
      const whole = host.reason === undefined;
      const abandoned = host.abandon();
      await go();
      await abandoned;
      assert.is(listening(), 0);
      const before = happened.length;
      await go();
      await go();
      assert.is(listening(), 0);
      assert.is(happened.slice(before).includes("listens"), false);
      assert.is(await starting, whole ? undefined : "CLOSED");
      // A life that was whole is the thread's to end with.
      assert.is(happened.includes("shard closed"), !whole);
    });

test.run();
