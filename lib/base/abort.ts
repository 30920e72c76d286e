// Waiting for an AbortSignal: however many do, it has one listener. Node warns of a leak where it has more than ten.

/** Who waits for one signal. */
class Waiters {
  readonly #signal: AbortSignal;
  readonly #callbacks = new Set<() => void>();
  readonly #listener = () => {
    waiters.delete(this.#signal);
    for (const callback of this.#callbacks) callback();
  };

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener("abort", this.#listener, { once: true });
  }

  add(callback: () => void): void {
    this.#callbacks.add(callback);
  }

  /** The signal is as it was when nobody waits any more. */
  remove(callback: () => void): void {
    if (!this.#callbacks.delete(callback) || this.#callbacks.size > 0) return;
    this.#signal.removeEventListener("abort", this.#listener);
    waiters.delete(this.#signal);
  }
}

const waiters = new WeakMap<AbortSignal, Waiters>();

/** Calls back when the signal is aborted; at once where it has been. Calling what it returns ends that. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) {
    callback();
    return () => {};
  }
  const all = waiters.get(signal) ?? new Waiters(signal);
  waiters.set(signal, all);
  // A function of its own: who waits twice with the same one is called twice.
  const one = () => callback();
  all.add(one);
  return () => all.remove(one);
}
