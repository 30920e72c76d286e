/** Words of the scratch in which the kernel finds equal keys among `n`: a power of two, at least four for each. */
export function distinctSlots(n: number): number {
  return 2 ** Math.ceil(Math.log2(Math.max(4 * n, 16)));
}
