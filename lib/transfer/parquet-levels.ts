/**
 * Reads n numbers of the run-length and bit-packed hybrid encoding. Never reads or writes beyond what is given; gives
 * undefined where the bytes do not hold n numbers.
 * https://parquet.apache.org/docs/file-format/data-pages/encodings/#RLE
 */
export function readHybrid(bytes: Uint8Array, bitWidth: number, n: number): Uint32Array | undefined {
  const into = new Uint32Array(n);
  let at = 0;
  for (let done = 0; done < n; ) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      if (at >= bytes.length || shift > 28) return undefined;
      header += (bytes[at] & 127) * 2 ** shift;
      if (bytes[at++] < 128) break;
    }
    if (header % 2 === 0) {
      const width = (bitWidth + 7) >> 3;
      if (at + width > bytes.length || header === 0) return undefined;
      let value = 0;
      for (let b = 0; b < width; b++) value += bytes[at++] * 256 ** b;
      const end = Math.min(n, done + header / 2);
      into.fill(value, done, end);
      done = end;
    } else {
      const packed = ((header - 1) / 2) * bitWidth;
      const here = Math.min(n - done, ((header - 1) / 2) * 8);
      if (here === 0 || at + Math.ceil((here * bitWidth) / 8) > bytes.length) return undefined;
      unpack(bytes, at, bitWidth, into.subarray(done, done + here));
      at += packed;
      done += here;
    }
  }
  return into;
}

/** Numbers of `bitWidth` bits, the lowest bits first, across bytes. */
function unpack(bytes: Uint8Array, at: number, bitWidth: number, into: Uint32Array): void {
  let bits = 0;
  let has = 0;
  const size = 2 ** bitWidth;
  for (let i = 0; i < into.length; i++) {
    // Not shifts: 7 bits left over and 32 more do not fit 32.
    while (has < bitWidth) {
      bits += bytes[at++] * 2 ** has;
      has += 8;
    }
    into[i] = bits % size;
    bits = Math.floor(bits / size);
    has -= bitWidth;
  }
}
