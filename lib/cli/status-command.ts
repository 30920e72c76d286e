// `embershard status`: how nodes are.
import { setTimeout as pause } from "node:timers/promises";
import { Command } from "commander";
import { EmbershardError } from "../base/errors.js";
import type { NodeStatus } from "../node/node-status.js";
import { EXIT } from "./failure.js";
import { teach, wholeNumber } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { type NodeReport, statusText } from "./status-text.js";

interface StatusOptions {
  readonly watch?: boolean;
  readonly json?: boolean;
  readonly every: number;
  readonly count?: number;
}

/** Waiting for a node's answer. */
const answerMs = 3000;

export function statusCommand(output: Output, exit: (code: number) => void): Command {
  const command = new Command("status")
    .summary("show how nodes are: shards, rows, rates, health")
    .description(
      "Asks a node, and through it all nodes of its cluster, how they are. Ends with 1 where a node is not ready. With " +
        "--watch the tables are shown again and again, in place on a terminal, until Ctrl-C.",
    )
    .argument("<url>", "where a node's control port is: http://127.0.0.1:7400, or ember://a:7400,b:7400")
    .option("--watch", "show it again and again")
    .option("--every <ms>", "with --watch: how often", wholeNumber, 1000)
    .option("--count <n>", "with --watch: end after so many", wholeNumber)
    .option("--json", "print JSON, one object a line")
    .action(async (url: string, options: StatusOptions) => exit(await status(url, options, output)));
  return teach(command, [
    "embershard status http://127.0.0.1:7400",
    "embershard status ember://a:7400,b:7400 --watch",
    "embershard status http://127.0.0.1:7400 --json | jq '.nodes[].status.shards[].rates'",
  ]);
}

async function status(
  url: string,
  { watch, json, every, count = Number.POSITIVE_INFINITY }: StatusOptions,
  output: Output,
): Promise<number> {
  const addresses = addressesOf(url);
  let stopped = false;
  const ending = new AbortController();
  const onInt = () => {
    stopped = true;
    ending.abort();
  };
  if (watch) process.once("SIGINT", onInt);
  try {
    let reports: readonly NodeReport[] = [];
    for (let shown = 0; ; ) {
      reports = await reportsOf(addresses, ending.signal, reports);
      if (stopped) return EXIT.interrupted;
      output.out.write(json ? jsonLine({ nodes: reports }) : shownText(reports, watch === true, output));
      const ready = reports.every((report) => report.status?.state === "ready");
      if (!watch || ++shown >= count) return ready ? EXIT.ok : EXIT.failed;
      await pause(every, undefined, { signal: ending.signal }).catch(() => undefined);
    }
  } finally {
    process.off("SIGINT", onInt);
  }
}

/** On a terminal the tables take the place of those before. */
function shownText(reports: readonly NodeReport[], watch: boolean, { out, heading }: Output): string {
  if (!out.isTTY) return statusText(reports, heading);
  if (!watch) return statusText(reports, heading, out.columns);
  // Neither a line that is too long nor one below the last may scroll the terminal.
  const { columns = Number.POSITIVE_INFINITY, rows = Number.POSITIVE_INFINITY } = out;
  const cut = (line: string) => line.slice(0, columns);
  const text = statusText(reports, (title) => heading(cut(title)), columns);
  const lines = text.split("\n").slice(0, rows);
  return `\x1b[H${lines.map((line) => `${line.startsWith("\x1b") ? line : cut(line)}\x1b[K`).join("\n")}\x1b[J`;
}

/** HOST:PORT of each node that an address names. @throws INVALID_OPTIONS */
function addressesOf(url: string): string[] {
  const match = /^(?:(?:http|ember):\/\/)?([^/]+)\/?$/.exec(url);
  const addresses = match?.[1].split(",") ?? [];
  if (
    addresses.length > 0 &&
    addresses.every((address) => /^(\[[0-9a-f:.]+\]|[^:\s]+):\d{1,5}$/i.test(address))
  )
    return addresses;
  throw new EmbershardError(
    "INVALID_OPTIONS",
    `found ${JSON.stringify(url)}, expected an address such as http://127.0.0.1:7400`,
  );
}

/**
 * All nodes that are known: those that were named, and those that they know of. Once they are known they are asked one by one,
 * also where none answers.
 *
 * @throws UNAVAILABLE where none of those that were named answers, and nothing was known `before`
 */
async function reportsOf(
  addresses: readonly string[],
  signal: AbortSignal,
  before: readonly NodeReport[],
): Promise<NodeReport[]> {
  if (before.length > 0)
    return Promise.all(before.map(({ name, address }) => reportOf(name, address, signal)));
  const named = await Promise.all(addresses.map((address) => reportOf(address, address, signal)));
  const first = named.find(({ status }) => status);
  if (!first?.status) {
    const [{ address, problem }] = named;
    throw new EmbershardError(
      "UNAVAILABLE",
      `no node answers at ${address}${named.length > 1 ? ` or ${named.length - 1} more` : ""} (${problem}): is it running? embershard serve starts one`,
    );
  }
  const known = first.status.nodes;
  if (known.length <= 1) return [first];
  return Promise.all(
    known.map(({ name, address }) => {
      if (name === first.name) return { ...first, address };
      return reportOf(name, address, signal);
    }),
  );
}

async function reportOf(name: string, address: string, signal: AbortSignal): Promise<NodeReport> {
  try {
    const response = await fetch(`http://${address}/status`, {
      signal: AbortSignal.any([signal, AbortSignal.timeout(answerMs)]),
    });
    if (!response.ok) return { name, address, problem: `it answers with HTTP ${response.status}` };
    const status = (await response.json()) as NodeStatus;
    return { name: status.node, address, status };
  } catch (error) {
    return { name, address, problem: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const { name, cause, message } = error as Error & { cause?: { code?: string; message?: string } };
  if (name === "TimeoutError") return `no answer within ${answerMs / 1000} s`;
  if (cause?.code === "ECONNREFUSED") return "nobody listens there";
  return cause?.code ?? cause?.message ?? message;
}
