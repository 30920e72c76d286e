/** Slots of the table in which the kernel finds equal keys among `n`: a power of two, at most half full. */
export function distinctSlots(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(2 * n, 16)));
}
