// Pulls of binary16 over pulls of float32: on loopback, and over a link that is the limit.
import { type Figure, target } from "../figure.js";
import { makeShapedLink } from "../peers/shaped-link.js";
import { type Racer, race, ratioOf } from "../race.js";
import type { Subject } from "../subject.js";
import type { WireTable } from "../subjects/net-settings.js";
import type { SuiteContext } from "../suite.js";
import { bestAtOnce, bytesOfRow, startWire, wireTable } from "./net-subjects.js";

const GIGABITS = 10;

export async function halves(context: SuiteContext): Promise<Figure[]> {
  const plain = wireTable(context, 64);
  const stored: WireTable = { ...plain, name: "stored-64", storage: "f16" };
  const { roundMs } = context.options;
  const wire = await startWire(context, 1, [plain, stored]);
  const half = await wire.another(12, { transfer: "f16" });
  const bytes = [
    await bytesOfRow(wire.node, half, plain.name, roundMs),
    await bytesOfRow(wire.node, wire.client, plain.name, roundMs),
  ];
  const figures = [
    target("net-f16-bytes", ratioOf([bytes[0]], [bytes[1]]), {
      peerName: "f32",
      note: "bytes of messages for a row of dim 64",
    }),
    await raced(context, "net-f16-pull", [half, plain.name], [wire.client, plain.name]),
    await raced(context, "net-f16-stored", [half, stored.name], [wire.client, plain.name]),
  ];
  await wire.stop();
  const link = makeShapedLink(context, GIGABITS);
  if (!link) return figures;
  const far = await startWire(context, 1, [plain], link);
  const farHalf = await far.another(12, { transfer: "f16" });
  figures.push(await raced(context, "net-f16-shaped", [farHalf, plain.name], [far.client, plain.name]));
  await far.stop();
  link.remove();
  return figures;
}

async function raced(
  context: SuiteContext,
  name: "net-f16-pull" | "net-f16-stored" | "net-f16-shaped",
  ...sides: (readonly [Subject, string])[]
): Promise<Figure> {
  const { rounds, roundMs } = context.options;
  const racers: Racer[] = [];
  for (const [i, [client, table]] of sides.entries()) {
    const atOnce = await bestAtOnce(client, "pull", table, roundMs);
    racers.push({
      name: i === 0 ? "f16" : "f32",
      rate: (_, ms) => client.rate("pull", table, ms, atOnce),
    });
  }
  const rates = await race(racers, ["pull", roundMs], rounds, { settle: true });
  return target(name, ratioOf(rates.get("f16")!, rates.get("f32")!), {
    peerName: "f32",
    note: name === "net-f16-shaped" ? `pulls of dim 64 over a link of ${GIGABITS} Gbit/s` : "pulls of dim 64",
  });
}
