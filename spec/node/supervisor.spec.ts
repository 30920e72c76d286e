// Signals that a supervisor and a node get: the first, its repetitions, and a second one.
import type { ChildProcess } from "node:child_process";
import { EventEmitter } from "node:events";
import { constants } from "node:os";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { StopOrders, sameOrderMs } from "../../lib/node/stop-orders.js";
import { Supervisor } from "../../lib/node/supervisor.js";
import { TestClock } from "./test-clock.js";

const { signals } = constants;

/** A node's process that notes the signals it gets. */
class Child extends EventEmitter {
  readonly pid = 1;
  readonly signals: string[] = [];
  kill(name: string): boolean {
    this.signals.push(name);
    return true;
  }
}

test("an order that comes again within a second is the same; a later one is another", () => {
  const clock = new TestClock();
  const told: string[] = [];
  const orders = new StopOrders(
    clock,
    (what) => told.push(`first ${what}`),
    (what) => told.push(`later ${what}`),
  );
  clock.pass(60_000);
  orders.take("SIGTERM");
  orders.take("SIGTERM");
  clock.pass(sameOrderMs - 1);
  orders.take("SIGINT");
  assert.equal(told, ["first SIGTERM"]);
  clock.pass(1);
  orders.take("SIGINT");
  orders.take("SIGTERM");
  assert.equal(told, ["first SIGTERM", "later SIGINT", "later SIGTERM"]);
});

test("a supervisor passes on the first signal once, and a second one that comes later", async () => {
  const clock = new TestClock();
  const child = new Child();
  const supervisor = new Supervisor({
    signals,
    clock,
    say: () => {},
    start: () => child as unknown as ChildProcess,
  });
  const ended = supervisor.run();
  supervisor.signal("SIGTERM");
  supervisor.signal("SIGTERM");
  assert.equal(child.signals, ["SIGTERM"]);
  clock.pass(sameOrderMs);
  supervisor.signal("SIGINT");
  assert.equal(child.signals, ["SIGTERM", "SIGINT"]);
  child.emit("exit", 1, null);
  assert.is(await ended, 1);
  assert.is(supervisor.restarts, 0);
});

for (const [signal, code] of [
  ["SIGTERM", 0],
  ["SIGINT", 130],
  ["SIGKILL", 137],
] as const)
  test(`a supervisor that has passed on SIGTERM ends with ${code} when ${signal} ends the process`, async () => {
    const child = new Child();
    const supervisor = new Supervisor({
      signals,
      clock: new TestClock(),
      say: () => {},
      start: () => child as unknown as ChildProcess,
    });
    const ended = supervisor.run();
    supervisor.signal("SIGTERM");
    child.emit("exit", null, signal);
    assert.is(await ended, code);
    assert.is(supervisor.restarts, 0);
  });

test("a signal while a crashed process waits to be started again ends the supervisor", async () => {
  const clock = new TestClock();
  const children: Child[] = [];
  const supervisor = new Supervisor({
    signals,
    clock,
    say: () => {},
    start: () => {
      children.push(new Child());
      return children.at(-1) as unknown as ChildProcess;
    },
  });
  const ended = supervisor.run();
  children[0].emit("exit", null, "SIGKILL");
  supervisor.signal("SIGTERM");
  clock.pass(60_000);
  assert.is(await ended, 0);
  assert.is(children.length, 1);
});

test.run();
