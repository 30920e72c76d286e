// A pull of one or more tables: a frame for each owner and stretch of its keys, all at once.
import { EmbershardError } from "../base/errors.js";
import { columnPlaces, columnsBytes } from "../wire/columns.js";
import type { Frame } from "../wire/frame.js";
import type { PullInput, Rows, RowsPart } from "../wire/generated/frame-types.js";
import { type Call, type Part, settleAll } from "./call.js";
import { unexpected } from "./channel.js";
import type { Cluster } from "./cluster.js";
import { Exchange, partBytes, usualRequestBytes } from "./exchange.js";
import { demandElements } from "./features.js";
import type { PlanMemories } from "./plan-memory.js";
import { PullPlan, placesOfTargets, pullPlanBytes, type RemoteRead } from "./pull-plan.js";
import { beginOf } from "./routing.js";

/** Reads rows. The reads' arrays are borrowed until it settles. @throws as `Table.pull`, and UNAVAILABLE, DEADLINE, PARTIAL */
export async function pullRows(
  cluster: Cluster,
  memories: PlanMemories,
  reads: readonly RemoteRead[],
  call: Call,
): Promise<void> {
  const memory = memories.take(reads.reduce((sum, read) => sum + pullPlanBytes(read), 0));
  const loans = new Loans(() => memories.give(memory));
  try {
    const plans = reads.map((read) => new PullPlan(memory, cluster, read));
    const parts = partsOf(cluster, memories, plans, loans);
    if (parts.length > 0)
      await settleAll(call, cluster, parts, "a pull").catch((error) => {
        // Of what nobody wants any more it does not matter which parts were there.
        throw call.aborted ?? error;
      });
    for (const plan of plans) plan.deliver();
  } finally {
    loans.end();
  }
}

/** Who else refers to a batch's memory: it is given back when nobody does. */
export class Loans {
  readonly #giveBack: () => void;
  #count = 1;

  constructor(giveBack: () => void) {
    this.#giveBack = giveBack;
  }

  begin(): void {
    this.#count++;
  }

  readonly end = (): void => {
    if (--this.#count === 0) this.#giveBack();
  };
}

/** Positions of one table's plan that a frame asks for. */
interface Stretch {
  readonly plan: PullPlan;
  readonly from: number;
  readonly to: number;
}

function partsOf(
  cluster: Cluster,
  memories: PlanMemories,
  plans: readonly PullPlan[],
  loans: Loans,
): PullPart[] {
  const parts: PullPart[] = [];
  const requestBytes = Math.min(usualRequestBytes, cluster.bulkBytes);
  for (const owner of cluster.owners) {
    let stretches: Stretch[] = [];
    let bytes = 0;
    const flush = () => {
      if (stretches.length > 0) parts.push(new PullPart(cluster, memories, owner, stretches, loans));
      stretches = [];
      bytes = 0;
    };
    const spans = plans.map((plan) => ({
      plan,
      begin: beginOf(plan.route, owner),
      end: plan.route.ends[owner],
    }));
    const whole = spans.reduce(
      (sum, { plan, begin, end }) =>
        sum + (end > begin ? partBytes : 0) + (end - begin) * (plan.rowBytes + 8),
      0,
    );
    // Requests of about the same length: a short one behind long ones would cost as much as they do.
    const limit = Math.ceil(whole / Math.ceil(whole / requestBytes));
    for (const { plan, begin, end } of spans) {
      const rowBytes = plan.rowBytes + 8;
      for (let from = begin; from < end; ) {
        bytes += partBytes;
        const to = Math.min(end, from + Math.max(1, Math.ceil((limit - bytes) / rowBytes)));
        stretches.push({ plan, from, to });
        bytes += (to - from) * rowBytes;
        from = to;
        if (bytes >= limit) flush();
      }
    }
    flush();
  }
  return parts;
}

/** One frame of a pull. */
class PullPart implements Part {
  readonly owner: number;
  readonly epoch: number;
  readonly keys: number;
  readonly #cluster: Cluster;
  readonly #memories: PlanMemories;
  readonly #stretches: readonly Stretch[];
  readonly #loans: Loans;
  /** Of the request and its answer. */
  readonly #bytes: number;
  #attempted = false;
  readonly #exchange = new Exchange();

  constructor(
    cluster: Cluster,
    memories: PlanMemories,
    owner: number,
    stretches: readonly Stretch[],
    loans: Loans,
  ) {
    this.#cluster = cluster;
    this.#memories = memories;
    this.owner = owner;
    this.epoch = cluster.map.epoch;
    this.#stretches = stretches;
    this.#loans = loans;
    this.keys = stretches.reduce((sum, { from, to }) => sum + to - from, 0);
    this.#bytes = stretches.reduce((sum, { plan, from, to }) => sum + (to - from) * (plan.rowBytes + 8), 0);
  }

  async attempt(call: Call): Promise<void> {
    this.#demandArrays();
    if (this.#attempted) this.#hold();
    this.#attempted = true;
    const channel = await this.#exchange.reach(this.#cluster, this.owner, call);
    const elements = this.#stretches.map(({ plan }) => plan.read.table.element);
    demandElements(channel, elements, "rows");
    let missing = this.keys;
    this.#loans.begin();
    await this.#exchange.ask(channel, call, {
      body: this.#body(),
      epoch: this.epoch,
      bytes: this.#bytes,
      taken: this.#loans.end,
      target: (frame, bytes) => this.#targets(frame, bytes),
      answer: (frame) => {
        missing -= this.#take(channel.name, frame);
        if (frame.more) return false;
        if (missing === 0) return true;
        throw new EmbershardError(
          "BAD_FRAME",
          `${channel.name}: found answers for ${this.keys - missing} keys, expected ${this.keys}`,
        );
      },
    });
    this.#demandArrays();
  }

  get #lost(): EmbershardError | undefined {
    return this.#stretches.find(({ plan }) => plan.lost)?.plan.lost;
  }

  /** @throws INVALID_ARGUMENT. Not while an answer is taken, which would end the connection that others use. */
  #demandArrays(): void {
    const lost = this.#lost;
    if (lost) throw lost;
  }

  abandon(error: EmbershardError): void {
    this.#exchange.abandon(error);
  }

  async replan(call: Call): Promise<void> {
    this.#demandArrays();
    this.#hold();
    const reads = this.#stretches.map(({ plan, from, to }) => plan.again(from, to));
    await pullRows(this.#cluster, this.#memories, reads, call);
  }

  /** Rows come anew to where some have come already. */
  #hold(): void {
    for (const { plan } of this.#stretches) plan.hold();
  }

  #body(): PullInput {
    const chunks = this.#stretches.map(({ plan, from, to }) => plan.keys(from, to));
    return {
      kind: "Pull",
      parts: this.#stretches.map(({ plan, from, to }) => plan.part(from, to)),
      found: this.#stretches.some(({ plan }) => plan.wantsFound),
      keys: chunks.length === 1 ? chunks[0] : chunks,
    };
  }

  /** The stretch that a part of an answer is about, checked. */
  #stretch({ part, first, count, dim, stateFloats, columns, element }: RowsPart): Stretch {
    const stretch = this.#stretches[part];
    const shape = stretch?.plan.shape(count);
    if (
      !stretch ||
      !shape ||
      first + count > stretch.to - stretch.from ||
      dim !== shape.dim ||
      stateFloats !== shape.stateFloats ||
      columns !== shape.columns ||
      element !== shape.element
    )
      throw new EmbershardError(
        "BAD_FRAME",
        `found rows ${first} to ${first + count} of dim ${dim} for part ${part}, expected what was asked for`,
      );
    return stretch;
  }

  /** Where the bytes of an answer go: straight to their places, with whatever lies between them. */
  #targets({ body }: Frame, bytes: number): readonly Uint8Array[] | undefined {
    if (body.kind !== "Rows" || this.#lost || this.#stretches.some(({ plan }) => plan.hasCounters))
      return undefined;
    // The frame is borrowed: by the time that its rows are here its bitmap is gone.
    this.#takeFound(body);
    const views: Uint8Array[] = [];
    let at = 0;
    const put = (view: Uint8Array, place: number) => {
      if (place > at) views.push(new Uint8Array(place - at));
      views.push(view);
      at = place + view.length;
    };
    for (const rows of body.parts) {
      const { plan, from } = this.#stretch(rows);
      const places = columnPlaces(plan.shape(rows.count), at);
      const begin = from + rows.first;
      const begins = placesOfTargets(places);
      for (const [i, target] of plan.targets(begin, begin + rows.count).entries()) put(target, begins[i]);
    }
    if (bytes > at) views.push(new Uint8Array(bytes - at));
    return views;
  }

  /** Takes an answer. Returns for how many keys it was. */
  #take(from: string, { body }: Frame): number {
    if (body.kind !== "Rows") throw unexpected(from, body.kind, "Rows");
    if (this.#lost) return body.parts.reduce((sum, { count }) => sum + count, 0);
    const expected = columnsBytes(body.parts);
    // Bulk that was received where it belongs is not in the frame.
    const here = body.data.length > 0 || expected === 0;
    if (here) this.#takeFound(body);
    let at = 0;
    let keys = 0;
    for (const rows of body.parts) {
      const stretch = this.#stretch(rows);
      const from = stretch.from + rows.first;
      if (here) stretch.plan.copy(body.data, at, from, rows.count);
      stretch.plan.arrived(this.owner, from, from + rows.count);
      at = columnPlaces(stretch.plan.shape(rows.count), at).end;
      keys += rows.count;
    }
    return keys;
  }

  #takeFound({ parts, found }: Rows): void {
    if (!found) return;
    let bit = 0;
    for (const rows of parts) {
      const { plan, from } = this.#stretch(rows);
      plan.copyFound(found, bit, from + rows.first, rows.count);
      bit += rows.count;
    }
  }
}
