// Writes to one or more tables: a frame for each owner and range of slots, each sent when its slots' earlier writes are done.
import type { WriteRequest } from "../api/backend.js";
import type { Ack as AckName } from "../api/table-definition.js";
import { EmbershardError } from "../base/errors.js";
import { Ack, type BodyInput, type WriteInput } from "../wire/generated/frame-types.js";
import { type Call, type Part, settleAll } from "./call.js";
import { unexpected } from "./channel.js";
import type { Cluster } from "./cluster.js";
import { Exchange, frontBytes, partBytes, usualRequestBytes } from "./exchange.js";
import { demandElements } from "./features.js";
import type { PlanMemories } from "./plan-memory.js";
import { Loans } from "./pulling.js";
import { type Cutting, cutForOwner, demandRowsFit, type Stretch } from "./write-cutting.js";
import type { Place, WriteOrder } from "./write-order.js";
import { mostRowBytes, type RemoteWrite, WritePlan, writePlanBytes } from "./write-plan.js";

const acks: Readonly<Record<AckName, Ack>> = { memory: Ack.Memory, os: Ack.Os, fsync: Ack.Fsync };

/** What writes of one worker share. */
export interface Writer {
  readonly cluster: Cluster;
  readonly memories: PlanMemories;
  readonly order: WriteOrder;
  readonly session: bigint;
  /** Bytes of rows that one frame brings, about, unless the usual. */
  readonly frameBytes?: number | undefined;
}

/** Slots, both inclusive. */
interface SlotRange {
  readonly first: number;
  readonly last: number;
}

/** A write and its number. */
export interface Numbered {
  readonly request: WriteRequest;
  readonly sequence: number;
  /**
   * Of a part that is sent by a new map, the slots that it covers: it has its place in the order already, and other parts of the same number
   * cover the others.
   */
  readonly again: SlotRange | undefined;
}

/** Writes rows. The arrays are borrowed until it settles. Resolves to the rows touched. */
export async function writeRows(
  writer: Writer,
  writes: readonly RemoteWrite[],
  numbered: Numbered,
  call: Call,
): Promise<number> {
  const { cluster, memories } = writer;
  const memory = memories.take(writes.reduce((sum, write) => sum + writePlanBytes(write), 0));
  const loans = new Loans(() => memories.give(memory));
  try {
    const bytes = writes.reduce((sum, write) => sum + write.keys.length * mostRowBytes(write), 0);
    const cutting = cuttingOf(writer, bytes, numbered.request.mark?.length ?? 0);
    const cut = cutting.least > 1 || bytes + partBytes * writes.length > cutting.frameBytes;
    const plans = writes.map((write) => new WritePlan(memory, cluster, write, cut));
    const parts = partsOf(writer, plans, numbered, loans, cutting);
    await settleAll(call, cluster, parts, "a write");
    for (const { write, skipped } of plans) write.table.skipped += skipped;
    return parts.reduce((sum, { touched }) => sum + touched, 0);
  } finally {
    loans.end();
  }
}

/** Bytes of a write from which on it may be worth two frames. */
const halvedFrom = 256 << 10;

/**
 * A write waits for those before it, slot by slot. So where some are on their way to an only owner, it gets what follows in two
 * halves, and works on one while the other is answered and sent.
 */
function cuttingOf(
  { cluster, order, frameBytes = usualRequestBytes }: Writer,
  bytes: number,
  markBytes: number,
): Cutting {
  const halved = cluster.owners.length === 1 && order.busy && bytes >= halvedFrom;
  return {
    frameBytes: Math.min(frameBytes, cluster.bulkBytes),
    least: halved ? 2 : 1,
    most: cluster.frameBytes - frontBytes - markBytes,
  };
}

function partsOf(
  writer: Writer,
  plans: readonly WritePlan[],
  numbered: Numbered,
  loans: Loans,
  cutting: Cutting,
): WritePart[] {
  const { cluster, order } = writer;
  const { routes, map } = cluster;
  demandRowsFit(plans, cutting, cluster.frameBytes);
  const covered = numbered.again ?? { first: 0, last: map.ownerOf.length - 1 };
  const parts: WritePart[] = [];
  // A mark goes to everyone, so that all say the same.
  const always = numbered.request.mark !== undefined;
  // A slot takes a sequence once: where its rows are more than a frame, the rest of them follow as the next write.
  const sequences = [numbered.sequence];
  for (const owner of cluster.owners) {
    const begin = owner === 0 ? 0 : routes.endOf[owner - 1];
    const end = routes.endOf[owner];
    for (const piece of cutForOwner(plans, owner, { begin, end }, cutting)) {
      const { stretches, turn } = piece;
      if (stretches.length === 0 && !always) continue;
      let first = Math.max(covered.first, piece.begin === begin ? 0 : routes.slotAt[piece.begin]);
      let last = piece.end === end ? covered.last : Math.min(covered.last, routes.slotAt[piece.end] - 1);
      if (first > last) continue;
      if (turn > 0) {
        if (numbered.again) throw noLongerFits(cluster);
        if (turn === sequences.length) sequences.push(order.nextSequence());
        first = routes.slotAt[piece.begin];
        last = first;
      }
      const own = { ...numbered, sequence: sequences[turn] };
      parts.push(new WritePart(writer, own, { owner, stretches, first, last }, loans));
    }
  }
  return parts;
}

/** Later writes may have taken the sequences that would follow. */
function noLongerFits({ frameBytes }: Cluster): EmbershardError {
  return new EmbershardError(
    "TOO_LARGE",
    `rows of one slot that were sent before do not fit the frames of ${frameBytes} bytes that nodes take now: start them with more --frame-bytes`,
  );
}

/** What one frame brings to whom. */
interface Load {
  readonly owner: number;
  readonly stretches: readonly Stretch[];
  readonly first: number;
  readonly last: number;
}

class WritePart implements Part {
  readonly owner: number;
  readonly epoch: number;
  readonly keys: number;
  touched = 0;
  readonly #writer: Writer;
  readonly #numbered: Numbered;
  readonly #load: Load;
  readonly #loans: Loans;
  readonly #bytes: number;
  readonly #place: Place | undefined;
  readonly #exchange = new Exchange();

  constructor(writer: Writer, numbered: Numbered, load: Load, loans: Loans) {
    this.#writer = writer;
    this.#numbered = numbered;
    this.#load = load;
    this.#loans = loans;
    this.owner = load.owner;
    this.epoch = writer.cluster.map.epoch;
    this.keys = load.stretches.reduce((sum, { from, to }) => sum + to - from, 0);
    this.#bytes = load.stretches.reduce((sum, { plan, from, to }) => sum + (to - from) * plan.rowBytes, 0);
    const { first, last } = load;
    const range = { owner: this.owner, epoch: this.epoch, first, last, sequence: numbered.sequence };
    this.#place = numbered.again ? undefined : writer.order.enter(range);
  }

  /** Its fate is known: later writes to its slots may go. */
  settled(): void {
    this.#place?.leave();
  }

  async attempt(call: Call): Promise<void> {
    const { cluster } = this.#writer;
    if (this.#place?.turn) await call.within(this.#place.turn);
    const channel = await this.#exchange.reach(cluster, this.owner, call);
    const elements = this.#load.stretches.map(({ plan }) => plan.element);
    demandElements(channel, elements, "gradients");
    cluster.noteWrite(this.owner);
    this.#loans.begin();
    await this.#exchange.ask(channel, call, {
      body: this.#body(channel.welcome.worker),
      epoch: this.epoch,
      bytes: this.#bytes,
      taken: this.#loans.end,
      answer: ({ body }) => {
        if (body.kind !== "Done") throw unexpected(channel.name, body.kind, "Done");
        this.touched = body.touched;
        return true;
      },
    });
  }

  abandon(error: EmbershardError): void {
    this.#exchange.abandon(error);
  }

  async replan(call: Call): Promise<void> {
    const { stretches, first, last } = this.#load;
    const writes = stretches.map(({ plan, from, to }) => plan.again(from, to));
    this.touched = await writeRows(this.#writer, writes, { ...this.#numbered, again: { first, last } }, call);
  }

  #body(worker: number): BodyInput {
    const { stretches, first, last } = this.#load;
    const { request, sequence } = this.#numbered;
    const write: WriteInput = {
      worker,
      session: this.#writer.session,
      sequence,
      firstSlot: first,
      lastSlot: last,
      step: request.step,
      ack: acks[request.ack],
      mark: request.mark,
    };
    const keys = stretches.map(({ plan, from, to }) => plan.keys(from, to));
    const kind = stretches[0]?.plan.write.kind ?? "push";
    if (kind === "delete") {
      const parts = stretches.map(({ plan, from, to }) => {
        const { table, fingerprint, count } = plan.part(from, to);
        return { table, fingerprint, count };
      });
      return { kind: "Delete", write, parts, keys };
    }
    return {
      kind: kind === "assign" ? "Assign" : "Push",
      write,
      parts: stretches.map(({ plan, from, to }) => plan.part(from, to)),
      keys,
      data: stretches.flatMap(({ plan, from, to }) => plan.columns(from, to)),
    };
  }
}
