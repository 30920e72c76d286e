// `embershard status --watch` when nodes go away.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { test } from "uvu";
import * as assert from "uvu/assert";
import { outputOf } from "../../lib/cli/output.js";
import { statusCommand } from "../../lib/cli/status-command.js";

/** A node that says how it is once, and is gone then. */
async function lastWords(): Promise<string> {
  const server = createServer((_, response) => {
    const status = { node: "a", state: "ready", uptimeMs: 5000, pid: 12, shards: [], nodes: [{ name: "a" }] };
    server.close();
    response.setHeader("connection", "close");
    response.end(JSON.stringify(status));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Runs the command in a terminal of so many columns, or in a pipe. */
async function watch(columns: number | undefined, ...args: string[]) {
  const written: string[] = [];
  const stream = {
    write: (text: string) => void written.push(text),
    ...(columns && { isTTY: true, columns, rows: 3 }),
  };
  let code: number | undefined;
  const command = statusCommand(outputOf(stream, stream, {}), (given) => {
    code = given;
  });
  await command.parseAsync([await lastWords(), "--watch", "--every", "1", "--count", "2", ...args], {
    from: "user",
  });
  return { written, code };
}

test("nodes that were there and do not answer any more are shown as down, and the watching goes on", async () => {
  const { written, code } = await watch(undefined);
  assert.is(written.length, 2);
  assert.match(written[0], /^node .*\na +127\.0\.0\.1:\d+ +ready +5 s +12\n/);
  assert.match(written[1], /\na +127\.0\.0\.1:\d+ +down +nobody listens there\n/);
  assert.match(written[1], /\n0 nodes of 1 up/);
  assert.is(code, 1);
  const json = await watch(undefined, "--json");
  assert.is(JSON.parse(json.written[1]).nodes[0].problem, "nobody listens there");
});

test("on a terminal nothing is longer than a line, or below the last, and emphasis is not cut", async () => {
  const { written } = await watch(10);
  const lines = written[1].split("\n");
  assert.is(lines.length, 3);
  assert.is(lines[0], "\x1b[H\x1b[1mnode  addr\x1b[22m\x1b[K");
  assert.is(lines[1], "a     127.\x1b[K");
});

test.run();
