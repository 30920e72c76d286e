// The header of a WebSocket frame that a client sends (RFC 6455, 5.2):
//
//   byte 0: FIN (0x80) and opcode; byte 1: masked (0x80) and length, or 126: length in 2 bytes, 127: in 8; then the mask's 4.

export const OPCODES = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export type Opcode = (typeof OPCODES)[keyof typeof OPCODES];

/** The payload of a control frame is at most so long. */
export const controlBytes = 125;

/** How many bytes the header of a client's frame has. */
export function headerBytes(payloadBytes: number): number {
  if (payloadBytes <= controlBytes) return 6;
  return payloadBytes <= 0xffff ? 8 : 14;
}

/** Writes the header of a whole message or control frame to the beginning of `target`, with `mask` (4 bytes) or none but zeros. */
export function writeHeader(
  target: Uint8Array,
  opcode: Opcode,
  payloadBytes: number,
  mask?: Uint8Array,
): void {
  const view = new DataView(target.buffer, target.byteOffset, headerBytes(payloadBytes));
  view.setUint8(0, 0x80 | opcode);
  if (payloadBytes <= controlBytes) view.setUint8(1, 0x80 | payloadBytes);
  else if (payloadBytes <= 0xffff) {
    view.setUint8(1, 0x80 | 126);
    view.setUint16(2, payloadBytes);
  } else {
    view.setUint8(1, 0x80 | 127);
    view.setBigUint64(2, BigInt(payloadBytes));
  }
  const at = headerBytes(payloadBytes) - 4;
  if (mask) target.set(mask, at);
  else view.setUint32(at, 0);
}

/** XORs `bytes` in place with the 4 bytes of `mask`. */
export function maskInPlace(bytes: Uint8Array, mask: Uint8Array): void {
  const aligned = bytes.byteOffset % 4 === 0;
  const words = aligned ? bytes.length >>> 2 : 0;
  if (words > 0) {
    const view = new Uint32Array(bytes.buffer, bytes.byteOffset, words);
    const word = new Uint32Array(mask.slice(0, 4).buffer)[0];
    for (let i = 0; i < words; i++) view[i] ^= word;
  }
  for (let i = words * 4; i < bytes.length; i++) bytes[i] ^= mask[i & 3];
}
