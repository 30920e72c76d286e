/** The time and timers that a layer is given, so that tests and simulation decide when things happen. */
export interface Clock {
  /** Milliseconds since the epoch, as the system has them: somebody may set it, forward and back. */
  now(): number;
  /** Milliseconds since some instant of this process, which nobody sets: what intervals are measured with. */
  elapsed(): number;
  /** Calls back once after `delayMs`; the returned function cancels. Does not keep the process alive, unless it is `wakeful`. */
  after(delayMs: number, callback: () => void, wakeful?: boolean): () => void;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after: (delayMs, callback, wakeful = false) => startTimer(delayMs, callback, wakeful),
};

/** As `systemClock`, but who waits keeps the process alive: for calls that somebody awaits. */
export const wakefulClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  after: (delayMs, callback) => startTimer(delayMs, callback, true),
};

/** setTimeout makes 1 ms of a longer time. */
const longestMs = 2 ** 31 - 1;

/** As `Clock.after`, for times of any length. */
function startTimer(delayMs: number, callback: () => void, wakeful: boolean): () => void {
  let timer: NodeJS.Timeout;
  const wait = (leftMs: number): void => {
    timer =
      leftMs > longestMs ? setTimeout(wait, longestMs, leftMs - longestMs) : setTimeout(callback, leftMs);
    if (!wakeful) timer.unref();
  };
  wait(delayMs);
  return () => clearTimeout(timer);
}
