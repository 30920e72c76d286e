// `embershard reshard`: another number of shards for a store that nobody has open.
import { Command } from "commander";
import { LIMITS } from "../base/limits.js";
import { type ReshardInfo, reshardDirectory } from "../directory/resharding.js";
import { progressLine } from "./bar.js";
import { directoryPath, teach, wholeNumberIn } from "./options.js";
import { jsonLine, type Output } from "./output.js";
import { countText, plural } from "./text-table.js";

export function reshardCommand(output: Output): Command {
  const command = new Command("reshard")
    .summary("give a closed store another number of shards")
    .description(
      "Makes a store with another number of shards of one that nobody has open: the same rows, state, marks and workers, bit " +
        "for bit. The store as it was is kept under another name. Cut short, it goes on where it was when it is run again.",
    )
    .argument("<dir>", "the store's directory; nobody may have it open", directoryPath)
    .requiredOption(
      "--shards <n>",
      `how many shards it is to have, 1 to ${LIMITS.threads}`,
      wholeNumberIn(1, LIMITS.threads),
    )
    .option("--json", "print JSON")
    .action(async (directory: string, { shards, json }: { shards: number; json?: boolean }) => {
      const line = progressLine(output.err);
      const stop = new AbortController();
      const abort = () => stop.abort();
      process.once("SIGINT", abort);
      try {
        const info = await reshardDirectory(directory, shards, {
          signal: stop.signal,
          onProgress: ({ rows, total }) => line.show(rows, total, `${countText(rows)} rows`),
        });
        line.clear();
        output.out.write(json ? jsonLine(info) : reshardText(info));
      } finally {
        line.clear();
        process.removeListener("SIGINT", abort);
      }
    });
  return teach(command, [
    "embershard reshard ./model --shards 4",
    "embershard reshard ./model --shards 1 --json",
  ]);
}

function reshardText({ from, to, rows, original }: ReshardInfo): string {
  if (original === null) return `it has ${plural(to, "shard")} already; nothing was changed\n`;
  return `${plural(from, "shard")} became ${to}: ${plural(rows, "row")} copied\nthe store as it was is kept: ${original}\n`;
}
