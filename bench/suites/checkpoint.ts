import { type Figure, once, shown, target } from "../figure.js";
import { startCTable } from "../peers/c-table.js";
import { startCWriter } from "../peers/c-writer.js";
import { median } from "../race.js";
import { Subject } from "../subject.js";
import type { Reply } from "../subjects/line-server.js";
import type { Suite } from "../suite.js";

export const checkpoint: Suite = {
  name: "checkpoint",
  about: "a checkpoint under full uniform pushes at level os: pauses, throughput, memory",
  async run(context) {
    const { workspace, options } = context;
    const settings = {
      directory: workspace.path("checkpoint"),
      rows: options.rows,
      dim: 16,
      batch: options.batch,
      hugePages: "off",
      level: "os",
      seed: 13,
    };
    const { rows, dim, batch } = settings;
    const machine = await startCTable(context, { rows, dim, batch, pages: "plain" });
    // Weights, state, key, frequency and last step.
    const writer = await startCWriter(context, rows * (16 + 8 * dim));
    const store = await Subject.startNode(workspace, "Embershard", "store-checkpoint", settings);
    // Compiles both loops before anything is timed, and finds the memory in which the system keeps what is written: a
    // hypervisor that collects free memory takes 1 to 3 s for a gigabyte of it, of both processors.
    await store.ask("calm", 5 * options.roundMs);
    const first = await store.ask("checkpoint");
    const calm: Reply[] = [];
    const busy: Reply[] = [];
    const bare: Reply[] = [];
    const written: Reply[] = [];
    for (let round = 0; round < (options.quick ? 1 : 3); round++) {
      calm.push(await store.ask("calm", 20 * options.roundMs));
      busy.push(await store.ask("checkpoint"));
      if (machine) bare.push(await machine.ask("push", "uniform", 20 * options.roundMs));
      if (writer) written.push(await writer.ask("write", 20 * options.roundMs));
    }
    await Promise.all([store.stop(), machine?.stop(), writer?.stop()]);
    return [...figures(first, calm, busy), ...machineFigures(bare, batch), ...writerFigures(written)];
  },
};

/** What a program without files, without a log and alone on the machine waits for one batch of as many rows. */
function machineFigures(bare: readonly Reply[], batch: number): Figure[] {
  if (bare.length === 0) return [];
  const longestMs = Math.max(...bare.map(({ longestNs }) => Number(longestNs) / 1e6));
  const usualMs = (median(bare.map(({ rows, ns }) => Number(ns) / Number(rows))) * batch) / 1e6;
  const note = `the longest push of ${batch} rows by the C program, alone on the machine; a usual one takes ${usualMs.toFixed(1)} ms`;
  return [shown("checkpoint-pause-of-the-machine", longestMs, { unit: "ms", better: "lower", note })];
}

/** What a program waits that writes as a store does during a checkpoint, for one change of 16,384 rows and one write. */
function writerFigures(written: readonly Reply[]): Figure[] {
  if (written.length === 0) return [];
  const longestMs = written.map(({ longestNs }) => (Number(longestNs) / 1e6).toFixed(1));
  const usualMs = median(written.map(({ usualNs }) => Number(usualNs) / 1e6));
  const note = `a C program that changes rows, writes over a file and syncs it, and writes and syncs others, alone on the machine: the longest of each round ${longestMs.join(", ")} ms; a usual one ${usualMs.toFixed(1)} ms`;
  const longest = Math.max(...written.map(({ longestNs }) => Number(longestNs) / 1e6));
  return [shown("checkpoint-pause-of-a-writer", longest, { unit: "ms", better: "lower", note })];
}

function figures(first: Reply, calm: readonly Reply[], busy: readonly Reply[]): Figure[] {
  const rates = (replies: readonly Reply[]) =>
    median(replies.map(({ rows, ns }) => (Number(rows) / Number(ns)) * 1e9));
  const longestMs = (replies: readonly Reply[], ...fields: string[]) =>
    Math.max(...replies.flatMap((reply) => fields.map((field) => Number(reply[field]) / 1e6)));
  const peak = busy.reduce((a, b) =>
    Number(a.peakBytes) / Number(a.residentBytes) > Number(b.peakBytes) / Number(b.residentBytes) ? a : b,
  );
  const pages = busy.map((reply) => reply.pages).join(", ");
  const ownMs = longestMs(busy, "ownNs").toFixed(1);
  const felt = (replies: readonly Reply[]) =>
    replies.map((reply) => longestMs([reply], "pushNs", "pullNs").toFixed(1)).join(", ");
  return [
    target("checkpoint-pause", longestMs(busy, "pushNs", "pullNs"), {
      note: `the longest small push or pull beside full pushes, of each round ${felt(busy)} ms; ${ownMs} ms without the time that they waited for a processor; without a checkpoint ${felt(calm)} ms; beside a checkpoint before these, when the system finds its memory, ${felt([first])} ms`,
    }),
    target("checkpoint-throughput", once(rates(busy), rates(calm)), {
      peerName: "before",
      note: `dim 16, pages written: ${pages}`,
    }),
    target("checkpoint-resident", once(Number(peak.peakBytes), Number(peak.residentBytes)), {
      peerName: "before",
    }),
    shown("checkpoint-longest-pull", longestMs(busy, "pullNs"), { unit: "ms", better: "lower" }),
    shown("checkpoint-longest-full-push", longestMs(busy, "longestPushNs"), {
      unit: "ms",
      better: "lower",
      note: `two in flight; without a checkpoint ${longestMs(calm, "longestPushNs").toFixed(1)} ms`,
    }),
  ];
}
