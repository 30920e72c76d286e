// `embershard ring`: who owns what in a cluster, and what would move if nodes came or went.
import { Command, InvalidArgumentError } from "commander";
import { EmbershardError } from "../base/errors.js";
import { placementOf, readClusterFile } from "../node/cluster-file.js";
import type { Member } from "../ring/members.js";
import { nextMap } from "../ring/placement.js";
import { placementFingerprint } from "../ring/slot-map.js";
import { teach } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { type RingReport, ringReport } from "./ring-report.js";
import { ringText } from "./ring-text.js";

interface RingFlags {
  readonly join?: readonly Member[];
  readonly leave?: readonly string[];
  readonly json?: boolean;
}

export function ringCommand(output: Output): Command {
  const command = new Command("ring")
    .summary("show who owns what in a cluster, and what moves when nodes come and go")
    .description(
      "Reads a cluster file and shows how the slots, ranges of the hash of keys, are shared out: as a table, and as a picture " +
        "of all slots in order, each column the node that has most of them. With --join and --leave it says what " +
        "would move, from where to where, beside the ideal: what the shares of nodes grow by. Nothing is changed.",
    )
    .argument("<cluster.json>", "the cluster file")
    .option(
      "--join <name[:weight[:zone[:shards]]]>",
      "a node that joins; may be repeated",
      (text: string, all: readonly Member[] = []) => [...all, joiner(text)],
    )
    .option(
      "--leave <name>",
      "a node that leaves; may be repeated",
      (text: string, all: readonly string[] = []) => [...all, text],
    )
    .option("--json", "print JSON")
    .action(async (path: string, flags: RingFlags) => {
      const report = await reportOf(path, flags);
      output.out.write(flags.json ? jsonLine(report) : ringText(report, output));
    });
  return teach(command, [
    "embershard ring cluster.json",
    "embershard ring cluster.json --join d                    a fourth node of weight 1",
    "embershard ring cluster.json --join d:2:rack-4:8         of weight 2, in rack-4, with 8 shards",
    "embershard ring cluster.json --leave a --join e --json | jq .moves",
  ]);
}

/** `d`, `d:2`, `d:2:rack-4`, `d:2:rack-4:8`; parts may be left empty. */
export function joiner(text: string): Member {
  const [name, weight = "", zone = "", shards = "", ...more] = text.split(":");
  if (name === "" || more.length > 0)
    throw new InvalidArgumentError("expected name[:weight[:zone[:shards]]]");
  for (const number of [weight, shards])
    if (number !== "" && !/^\d+(\.\d+)?$/.test(number))
      throw new InvalidArgumentError(
        `expected name[:weight[:zone[:shards]]], found "${number}" for a number`,
      );
  return {
    name,
    zone,
    ...(weight !== "" && { weight: Number(weight) }),
    ...(shards !== "" && { shards: Number(shards) }),
  };
}

async function reportOf(path: string, { join = [], leave = [] }: RingFlags): Promise<RingReport> {
  const file = await readClusterFile(path);
  const names = file.nodes.map(({ name }) => name);
  for (const name of leave) {
    if (names.includes(name)) continue;
    throw new EmbershardError(
      "INVALID_OPTIONS",
      `--leave: found no node "${name}" in ${path}, expected one of ${names.join(", ")}`,
    );
  }
  const before = placementOf(file);
  if (join.length + leave.length === 0)
    return ringReport({ members: file.nodes, map: before, fingerprint: placementFingerprint(before) });
  const members = [...file.nodes.filter(({ name }) => !leave.includes(name)), ...join];
  const map = nextMap(before, members);
  return ringReport({
    members,
    map,
    fingerprint: placementFingerprint(map),
    before,
    membersBefore: file.nodes,
  });
}
