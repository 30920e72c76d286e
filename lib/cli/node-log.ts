// What a node says while it runs: lines for people, or JSON lines for programs.
import type { EmbershardError } from "../base/errors.js";
import type { NodeEvent } from "../node/node.js";
import type { NodeStatus } from "../node/node-status.js";
import type { Output } from "./output.js";
import { bytesText, plural } from "./text-table.js";

export interface NodeLog {
  started(status: NodeStatus): void;
  event(event: NodeEvent): void;
  failed(error: EmbershardError): void;
  line(text: string): void;
}

/** JSON goes to stdout, one object a line, each with `time` and `event`. */
export function jsonLog({ out }: Output, now: () => Date): NodeLog {
  const write = (event: string, rest: object) =>
    void out.write(`${JSON.stringify({ time: now().toISOString(), event, ...rest })}\n`);
  return {
    started: ({ node, pid, store, listen, directory, shards, nodes }) =>
      write("started", {
        node,
        pid,
        store,
        directory,
        listen,
        connect: `ember://${nodes.map(({ address }) => address).join(",")}`,
        ports: shards.map(({ port }) => port),
        replayed: shards.reduce((sum, { store }) => sum + (store?.log.replayed ?? 0), 0),
      }),
    event: ({ event, ...rest }) => write(event, rest),
    failed: ({ code, message }) => write("failed", { code, message }),
    line: (message) => write("note", { message }),
  };
}

/** The start goes to stdout, what happens later to stderr. */
export function plainLog({ out, err }: Output): NodeLog {
  const later = (text: string) => void err.write(`${text}\n`);
  return {
    started: (status) => void out.write(startText(status)),
    event(event) {
      switch (event.event) {
        case "rebuilding":
          later(`shard ${event.shard} broke and is opened again: ${event.reason}`);
          return;
        case "rebuilt":
          later(`shard ${event.shard} serves again after ${event.ms} ms`);
          return;
        case "stopping":
          later("stopping: finishing what is under way, then a checkpoint");
          return;
        case "stopped":
          later("stopped");
      }
    },
    failed: ({ code, message }) => later(`the node cannot go on: ${code}: ${message}`),
    line: later,
  };
}

function startText({ node, pid, listen, directory, shards, nodes, memoryBytes }: NodeStatus): string {
  const ports = shards.map(({ port }) => port);
  const rows = shards.reduce(
    (sum, { store }) => sum + (store?.tables.reduce((all, table) => all + table.rows, 0) ?? 0),
    0,
  );
  const addresses = nodes.map(({ address }) => address).join(",");
  return [
    `node "${node}" (pid ${pid}) serves ${directory}: ${plural(shards.length, "shard")}, ${plural(rows, "row")}, memory for rows up to ${bytesText(memoryBytes)}`,
    `listens on ${listen}, ${shards.length === 1 ? "its shard on port" : "its shards on ports"} ${ports.join(", ")}`,
    `connect("ember://${addresses}") in a program; embershard status http://${listen} here; Ctrl-C stops it`,
    "",
  ].join("\n");
}
