/** The time and timers that a layer is given, so that tests and simulation decide when things happen. */
export interface Clock {
  /** Milliseconds since the epoch, as the system has them: somebody may set it, forward and back. */
  now(): number;
  /** Milliseconds since some instant of this process, which nobody sets: what intervals are measured with. */
  elapsed(): number;
  /** Calls back once after `delayMs`; the returned function cancels. Does not keep the process alive. */
  after(delayMs: number, callback: () => void): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    timer.unref();
    return () => clearTimeout(timer);
  },
};

/** As `systemClock`, but who waits keeps the process alive: for calls that somebody awaits. */
export const wakefulClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs);
    return () => clearTimeout(timer);
  },
};
