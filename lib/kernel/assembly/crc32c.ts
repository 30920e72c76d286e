// CRC-32C (Castagnoli, RFC 3720 appendix B.4) by slicing (Kounavis and Berry, 2008), 16 bytes at once.

/** Entry 256 k + b is the checksum of byte b and k zeros. */
const TABLES = memory.data(16 * 256 * 4, 16);

let made = false;

function makeTables(): void {
  for (let byte: u32 = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
    store<u32>(TABLES + ((<usize>byte) << 2), crc);
  }
  for (let i: u32 = 256; i < 16 * 256; i++) {
    const crc = load<u32>(TABLES + ((<usize>(i - 256)) << 2));
    store<u32>(TABLES + ((<usize>i) << 2), (crc >> 8) ^ entry(0, crc & 255));
  }
  made = true;
}

function entry(table: usize, byte: u32): u32 {
  return load<u32>(TABLES + (table << 10) + ((<usize>byte) << 2));
}

/** What four bytes that `zeros` others follow add, of 16. */
function slice(word: u32, zeros: usize): u32 {
  return (
    entry(zeros + 3, word & 255) ^
    entry(zeros + 2, (word >> 8) & 255) ^
    entry(zeros + 1, (word >> 16) & 255) ^
    entry(zeros, word >> 24)
  );
}

/** CRC-32C of `length` bytes at `ptr`. */
export function crc32c(ptr: usize, length: u32): u32 {
  if (!made) makeTables();
  const end = ptr + <usize>length;
  let crc: u32 = 0xffff_ffff;
  for (; ptr + 16 <= end; ptr += 16) {
    // What does not depend on the bytes before comes first: it need not wait for them.
    const rest = slice(load<u32>(ptr, 4), 8) ^ slice(load<u32>(ptr, 8), 4) ^ slice(load<u32>(ptr, 12), 0);
    crc = slice(crc ^ load<u32>(ptr), 12) ^ rest;
  }
  for (; ptr < end; ptr++) crc = entry(0, (crc ^ load<u8>(ptr)) & 255) ^ (crc >> 8);
  return ~crc;
}
