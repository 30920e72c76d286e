// Whether keys come more than once in a batch, without looking at all of them.

/** Keys that are looked at. */
const sampleKeys = 1024;
/** Of the sample, the share of repeats from which each key is asked for once. */
const manyRepeats = 1 / 16;

/** Looks at the first of the keys. Whether each is asked for once matters for speed only. */
export function repeatsOften(keys: BigUint64Array): boolean {
  const n = Math.min(keys.length, sampleKeys);
  const words = new Uint32Array(keys.buffer, keys.byteOffset, 2 * n);
  sampled.fill(0);
  let repeats = 0;
  for (let i = 0; i < 2 * n; i += 2) {
    // Two keys that share a fingerprint are as good as a repeat.
    const fingerprint = (Math.imul(words[i], 0x9e37_79b1) ^ Math.imul(words[i + 1], 0x85eb_ca77)) | 1;
    let at = (fingerprint >>> 21) & (sampled.length - 1);
    while (sampled[at] !== 0 && sampled[at] !== fingerprint) at = (at + 1) & (sampled.length - 1);
    if (sampled[at] !== 0) repeats++;
    sampled[at] = fingerprint;
  }
  return repeats > n * manyRepeats;
}

/** Fingerprints of sampled keys, by their upper bits; 0 where there is none. */
const sampled = new Int32Array(2 * sampleKeys);
