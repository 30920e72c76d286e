// When a client asks for news without sleeping, and when it leaves the processor to others.
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { Polling } from "../../lib/net/polling.js";
import { ProcessorDemand } from "../../lib/net/processor-demand.js";
import { hasProcessorQuota } from "../../lib/net/processor-quota.js";

/** A loop that turns when it is told to, at times that are given. */
function world(told = true) {
  const state = { now: 1000, crowded: false, opened: 0, closed: 0, due: [] as (() => void)[] };
  const polling = new Polling({
    clock: { now: () => state.now, elapsed: () => state.now, after: () => () => undefined },
    afterTurn: (callback) => state.due.push(callback),
    demand: () => {
      if (!told) return undefined;
      state.opened++;
      return { crowded: () => state.crowded, close: () => state.closed++ };
    },
  });
  /** Turns the loop once, `ms` later. Returns whether anything kept it from sleeping. */
  const turn = (ms: number) => {
    state.now += ms;
    const due = state.due.splice(0);
    for (const callback of due) callback();
    assert.ok(due.length <= 1, "no more than one callback keeps the loop turning");
    return due.length > 0;
  };
  return { state, polling, turn };
}

test("the loop turns from a question on until 0.1 ms after the last news", () => {
  const { polling, turn } = world();
  polling.join();
  polling.awaits(true);
  for (let i = 0; i < 3; i++) assert.ok(turn(0.04), `turn ${i}`);
  assert.not(turn(0.04));
  polling.happened();
  assert.ok(turn(0.06));
  polling.happened();
  assert.ok(turn(0.06), "news put it off");
  assert.ok(turn(0.06));
  assert.not(turn(0.01));
});

test("without an answer to wait for it sleeps", () => {
  const { polling, turn } = world();
  polling.join();
  polling.join();
  polling.happened();
  assert.not(turn(0));
  polling.awaits(true);
  polling.awaits(true);
  polling.awaits(false);
  assert.ok(turn(0.01), "another connection still waits");
  polling.awaits(false);
  assert.ok(turn(0.01), "the callback that is due goes off");
  assert.not(turn(0.01), "and is the last");
  polling.happened();
  assert.not(turn(0));
});

test("where others want the processors it sleeps, at once", () => {
  const { polling, turn, state } = world();
  polling.join();
  polling.awaits(true);
  assert.ok(turn(0.01));
  state.crowded = true;
  assert.ok(turn(0.01));
  assert.not(turn(0.01));
  polling.happened();
  assert.not(turn(0));
  state.crowded = false;
  polling.happened();
  assert.ok(turn(0));
});

test("where the system does not say how many threads want to run it sleeps", () => {
  const { polling, turn } = world(false);
  polling.join();
  polling.awaits(true);
  polling.happened();
  assert.not(turn(0));
});

test("the system is asked as long as there are connections", () => {
  const { polling, turn, state } = world();
  polling.join();
  polling.join();
  polling.leave();
  assert.equal([state.opened, state.closed], [1, 0]);
  polling.awaits(true);
  polling.awaits(false);
  polling.leave();
  assert.equal([state.opened, state.closed], [1, 1]);
  assert.ok(turn(0.01));
  assert.not(turn(0.01));
  polling.join();
  assert.equal([state.opened, state.closed], [2, 1]);
});

test("processors are in demand when too often more threads want to run than there are", () => {
  const directory = mkdtempSync(join(tmpdir(), "embershard-"));
  const file = join(directory, "loadavg");
  const running = (threads: number) => writeFileSync(file, `0.52 0.58 0.59 ${threads}/467 12345\n`);
  running(4);
  const demand = ProcessorDemand.open(file, 4)!;
  try {
    let now = 0;
    /** How many looks it takes, 0.5 ms apart, until it says so; at most 10,000. */
    const looksUntil = (crowded: boolean) => {
      for (let looks = 0; looks < 10_000; looks++, now += 0.5)
        if (demand.crowded(now) === crowded) return looks;
      return Number.POSITIVE_INFINITY;
    };
    assert.is(looksUntil(true), Number.POSITIVE_INFINITY, "as many threads as processors");
    running(5);
    for (let i = 0; i < 1000; i++) assert.not(demand.crowded(now + i / 4000), "looks are 0.5 ms apart");
    const until = looksUntil(true);
    assert.ok(until > 10 && until < 100, `crowded after ${until} looks`);
    running(1);
    assert.ok(looksUntil(false) < 400);
    for (let i = 0; i < 4000; i++, now += 0.5) {
      running(i % 10 === 9 ? 9 : 1);
      if (demand.crowded(now)) assert.ok(i < 100, `now and then is not too often (look ${i})`);
    }
  } finally {
    demand.close();
    rmSync(directory, { recursive: true });
  }
});

test("a system that says nothing of use is not asked again", () => {
  assert.is(ProcessorDemand.open("/nonexistent/loadavg"), undefined);
  const directory = mkdtempSync(join(tmpdir(), "embershard-"));
  try {
    for (const [i, text] of ["", "0.00 0.00 0.00 0/0 0\n", "load\n"].entries()) {
      const file = join(directory, String(i));
      writeFileSync(file, text);
      assert.is(ProcessorDemand.open(file), undefined, JSON.stringify(text));
    }
  } finally {
    rmSync(directory, { recursive: true });
  }
});

test("processor time that is rationed, by whatever group, is noticed", () => {
  const says = (files: Readonly<Record<string, string>>) => {
    const root = mkdtempSync(join(tmpdir(), "embershard-"));
    try {
      for (const [path, text] of Object.entries(files)) {
        mkdirSync(dirname(join(root, path)), { recursive: true });
        writeFileSync(join(root, path), text);
      }
      return hasProcessorQuota(root);
    } finally {
      rmSync(root, { recursive: true });
    }
  };
  const own = "proc/self/cgroup";
  assert.not(says({}));
  assert.not(says({ [own]: "0::/\n" }));
  assert.not(says({ [own]: "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "max 100000\n" }));
  assert.ok(says({ [own]: "0::/a/b\n", "sys/fs/cgroup/a/b/cpu.max": "150000 100000\n" }));
  assert.ok(says({ [own]: "0::/a/b\n", "sys/fs/cgroup/a/cpu.max": "150000 100000\n" }), "the group above");
  assert.ok(
    says({ [own]: "0::/../x\n", "sys/fs/cgroup/cpu.max": "50000 100000\n" }),
    "a container's uppermost",
  );
  assert.not(says({ [own]: "0::/a\n", "sys/fs/cgroup/b/cpu.max": "50000 100000\n" }), "another group");
  const old = "12:memory:/m\n4:cpuacct,cpu:/k/p\n0::/\n";
  assert.not(says({ [own]: old, "sys/fs/cgroup/cpu,cpuacct/k/p/cpu.cfs_quota_us": "-1\n" }));
  assert.ok(says({ [own]: old, "sys/fs/cgroup/cpu,cpuacct/k/p/cpu.cfs_quota_us": "200000\n" }));
  assert.ok(says({ [own]: old, "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "200000\n" }));
  assert.not(says({ [own]: old, "sys/fs/cgroup/cpu,cpuacct/m/cpu.cfs_quota_us": "200000\n" }));
});

test("Linux says it", () => {
  if (process.platform !== "linux") return;
  const demand = ProcessorDemand.open();
  assert.ok(demand);
  assert.type(demand!.crowded(0), "boolean");
  demand!.close();
});

test.run();
