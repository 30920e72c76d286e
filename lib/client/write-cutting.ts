// Where a write is cut into frames: between slots, since a shard tells frames that come again by their slots and their sequence.
import { EmbershardError } from "../base/errors.js";
import { partBytes } from "./exchange.js";
import { beginOf } from "./routing.js";
import type { WritePlan } from "./write-plan.js";

/** Positions of one table's plan. */
export interface Stretch {
  readonly plan: WritePlan;
  readonly from: number;
  readonly to: number;
}

/** What one frame brings. */
export interface Piece {
  readonly stretches: readonly Stretch[];
  /** Places in the order of slots: from `begin` to before `end`. */
  readonly begin: number;
  readonly end: number;
  /** How many frames bring rows of the same slot before it: it is a write of its own, after theirs. */
  readonly turn: number;
}

/** Into what a write is cut. */
export interface Cutting {
  /** Bytes of a frame, about. */
  readonly frameBytes: number;
  /** Frames to an owner, at least. */
  readonly least: number;
  /** Bytes of rows, and of what tells of their tables, that a frame can have. */
  readonly most: number;
}

/** Demands that each row fits a frame by itself. @throws TOO_LARGE */
export function demandRowsFit(plans: readonly WritePlan[], { most }: Cutting, limit: number): void {
  for (const { rowBytes, route, write } of plans)
    if (route.n > 0 && partBytes + rowBytes > most)
      throw new EmbershardError(
        "TOO_LARGE",
        `table "${write.table.definition.name}": a row of ${rowBytes} bytes does not fit the frames of ${limit} bytes that nodes take: start them with more --frame-bytes`,
      );
}

/** Cuts an owner's part of a write, the slots with places from `begin` to before `end`. */
export function cutForOwner(
  plans: readonly WritePlan[],
  owner: number,
  { begin, end }: { readonly begin: number; readonly end: number },
  { frameBytes, least, most }: Cutting,
): Piece[] {
  const whole = plans
    .map((plan) => ({ plan, from: beginOf(plan.route, owner), to: plan.route.ends[owner] }))
    .filter(({ from, to }) => to > from);
  const bytes = whole.reduce((sum, { plan, from, to }) => sum + (to - from) * plan.rowBytes, 0);
  const sorted = plans.every(({ route }) => route.places !== 0);
  const frames = sorted ? Math.min(end - begin, Math.max(least, Math.ceil(bytes / frameBytes))) : 1;
  if (!sorted || (frames === 1 && bytesOf(whole) <= most)) return [{ stretches: whole, begin, end, turn: 0 }];
  // As many slots in each, so that writes that follow each other are cut alike.
  const even = Array.from({ length: frames }, (_, i) => {
    const place = (number: number) => begin + Math.floor((number * (end - begin)) / frames);
    return piece(plans, place(i), place(i + 1));
  });
  return even.every(({ stretches }) => bytesOf(stretches) <= most) ? even : fill(plans, begin, end, most);
}

/** As few frames as slots allow. */
function fill(plans: readonly WritePlan[], begin: number, end: number, most: number): Piece[] {
  const pieces: Piece[] = [];
  for (let from = begin; from < end; ) {
    const to = furthest(plans, from, end, most);
    if (to > from) pieces.push(piece(plans, from, to));
    else pieces.push(...cutSlot(plans, from, most));
    from = Math.max(to, from + 1);
  }
  return pieces;
}

/** The last place up to which slots from `begin` on fit a frame: `begin` where the first one does not. */
function furthest(plans: readonly WritePlan[], begin: number, end: number, most: number): number {
  let fits = begin;
  let last = end;
  while (fits < last) {
    const middle = Math.ceil((fits + last) / 2);
    if (bytesOfSlots(plans, begin, middle) <= most) fits = middle;
    else last = middle - 1;
  }
  return fits;
}

/** Frames for the rows of one slot. */
function cutSlot(plans: readonly WritePlan[], slot: number, most: number): Piece[] {
  const pieces: Piece[] = [];
  let stretches: Stretch[] = [];
  let left = most;
  const flush = () => {
    pieces.push({ stretches, begin: slot, end: slot + 1, turn: pieces.length });
    stretches = [];
    left = most;
  };
  for (const { plan, from: begin, to: end } of piece(plans, slot, slot + 1).stretches) {
    if (left < partBytes + plan.rowBytes) flush();
    for (let from = begin; from < end; ) {
      const to = Math.min(end, from + Math.floor((left - partBytes) / plan.rowBytes));
      stretches.push({ plan, from, to });
      left -= partBytes + (to - from) * plan.rowBytes;
      from = to;
      if (from < end) flush();
    }
  }
  flush();
  return pieces;
}

function piece(plans: readonly WritePlan[], begin: number, end: number): Piece {
  const stretches = plans
    .map((plan) => ({ plan, from: plan.beginOfSlot(begin), to: plan.beginOfSlot(end) }))
    .filter(({ from, to }) => to > from);
  return { stretches, begin, end, turn: 0 };
}

function bytesOfSlots(plans: readonly WritePlan[], begin: number, end: number): number {
  let bytes = 0;
  for (const plan of plans) {
    const rows = plan.beginOfSlot(end) - plan.beginOfSlot(begin);
    if (rows > 0) bytes += partBytes + rows * plan.rowBytes;
  }
  return bytes;
}

function bytesOf(stretches: readonly Stretch[]): number {
  return stretches.reduce((sum, { plan, from, to }) => sum + partBytes + (to - from) * plan.rowBytes, 0);
}
