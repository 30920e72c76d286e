/** Copies `bytes`, a multiple of 4. memory.copy leaves WebAssembly for a function of the engine, which takes longer than a row. */
export function copyFloats(from: usize, into: usize, bytes: usize): void {
  const end = from + bytes;
  while (from + 64 <= end) {
    v128.store(into, v128.load(from));
    v128.store(into, v128.load(from, 16), 16);
    v128.store(into, v128.load(from, 32), 32);
    v128.store(into, v128.load(from, 48), 48);
    from += 64;
    into += 64;
  }
  while (from + 16 <= end) {
    v128.store(into, v128.load(from));
    from += 16;
    into += 16;
  }
  while (from < end) {
    store<u32>(into, load<u32>(from));
    from += 4;
    into += 4;
  }
}

/** Writes `value` to f32[] of `bytes`, a multiple of 4. memory.fill is a function of the engine, too. */
export function fillFloats(into: usize, bytes: usize, value: f32): void {
  for (const end = into + bytes; into < end; into += 4) store<f32>(into, value);
}
