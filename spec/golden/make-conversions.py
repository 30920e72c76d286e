"""Makes conversions.jsonl: what float32s are stored as, from docs/storage-types.md alone, in another language: float16 by NumPy,
bfloat16 by PyTorch, int8 and stochastic rounding in plain Python.

    python spec/golden/make-conversions.py
"""

import json
import math
import pathlib
import random
import struct

import numpy
import torch

M64, M32 = (1 << 64) - 1, (1 << 32) - 1
P1, P2, P4, P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
P3 = 0x165667B19E3779F9
LARGEST = {"f16": 65504.0, "bf16": (2 - 2**-7) * 2.0**127}


def f32(x):
    return float(numpy.float32(x))


def hex_of(values):
    return b"".join(struct.pack(">f", value) for value in values).hex()


def xxh64_of_key(key, seed):
    def rotate_left(x, n):
        return ((x << n) | (x >> (64 - n))) & M64

    h = (seed + P5 + 8) & M64
    h ^= (rotate_left((key * P2) & M64, 31) * P1) & M64
    h = (rotate_left(h, 27) * P1 + P4) & M64
    h = ((h ^ (h >> 33)) * P2) & M64
    h = ((h ^ (h >> 29)) * P3) & M64
    return h ^ (h >> 32)


def chance(seed, key, step, frequency):
    return xxh64_of_key(step + (frequency << 32), xxh64_of_key(key, seed))


def bits(r, element):
    x = ((r & M32) + element * 0x9E3779B9) & M32
    x = ((x ^ (x >> 16)) * 0x7FEB352D) & M32
    x = ((x ^ (x >> 15) ^ (r >> 32)) * 0x846CA68B) & M32
    return x ^ (x >> 16)


def clamped(values, kind):
    """What is finite and too large becomes the largest."""
    limit = LARGEST[kind]
    return [value if math.isinf(value) or math.isnan(value) else min(max(value, -limit), limit) for value in values]


def nearest(values, kind):
    values = clamped(values, kind)
    if kind == "f16":
        with numpy.errstate(over="ignore"):
            stored = numpy.array(values, dtype=numpy.float32).astype(numpy.float16)
        words, read = stored.view(numpy.uint16), stored.astype(numpy.float32)
    else:
        stored = torch.tensor(values, dtype=torch.float32).to(torch.bfloat16)
        words, read = stored.view(torch.int16).numpy().view(numpy.uint16), stored.to(torch.float32).numpy()
    words = [int(word) for word in words]
    return words, [float(v) for v in read]


def neighbours(value, kind):
    """The unit in which numbers of this kind count beside a value."""
    fraction, least = (10, -14) if kind == "f16" else (7, -126)
    exponent = max(math.frexp(abs(value))[1] - 1, least) if value else least
    return 2.0 ** (exponent - fraction)


def by_chance(x, r, element):
    low = math.floor(x)
    return low + 1 if (bits(r, element) >> 8) * 2.0**-24 < x - low else low


def stochastic(values, kind, r, first):
    read = []
    for i, value in enumerate(clamped(values, kind)):
        unit = neighbours(value, kind)
        read.append(math.copysign(by_chance(abs(value) / unit, r, first + i) * unit, value))
    return read


def scale_of(values):
    largest = max(abs(v) for v in values)
    return min(f32(numpy.float32(largest) / numpy.float32(127)), 2.6793883890187504e36)


def bytes_of(values, round_one):
    scale = scale_of(values)
    stored = []
    for i, value in enumerate(values):
        multiple = 0.0 if scale == 0 else f32(numpy.float32(value) / numpy.float32(scale))
        if abs(multiple) >= 127 - 2.0**-16:
            multiple = math.copysign(127.0, multiple)
        stored.append(int(round_one(multiple, i)))
    return scale, stored, [f32(q * scale) for q in stored]


def all_numbers(chosen):
    """Numbers at which conversions change their ways, and random ones of every size."""
    numbers = [0.0, -0.0, math.inf, -math.inf, 1.0, 65504, 65519.996, 65520, 1e5, -1e5, 3.3895e38, 3.3961775e38, 3.4028234663852886e38]
    for unit in (2.0**-14, 2.0**-24, 2.0**-25, 2.0**-126, 2.0**-133, 2.0**-134, 2.0**-149, 1.0, 2048.0):
        numbers += [unit * x for x in (1, -1, 1.5, 0.5, 0.999, 1.001, 1 + 2**-10, 1 + 2**-11, 1 + 3 * 2**-11, 1 + 2**-8, 1 + 3 * 2**-8)]
    while len(numbers) < 400:
        value = struct.unpack(">f", struct.pack(">I", chosen.getrandbits(32)))[0]
        if math.isfinite(value):
            numbers.append(value)
    numbers += [chosen.uniform(-1, 1) * 2.0 ** chosen.randrange(-27, 17) for _ in range(400)]
    return [f32(number) for number in numbers]


def rows(chosen):
    """Rows of several lengths, of numbers of one size and of mixed ones."""
    for dim in (1, 2, 3, 4, 5, 7, 8, 13, 16, 64):
        for size in (1.0, 1e-3, 2.0**-16, 3e4, 1e-43):
            yield [f32(chosen.gauss(0, 1) * size) for _ in range(dim)]
        yield [f32(chosen.gauss(0, 1) * 2.0 ** chosen.randrange(-20, 20)) for _ in range(dim)]
    yield [3.4028234663852886e38, -1e38, 1e37]
    yield [0.0, -0.0, 0.0, 0.0, 0.0]


def main():
    chosen = random.Random(1)
    lines = []
    numbers = all_numbers(chosen)
    for kind in ("f16", "bf16"):
        words, read = nearest(numbers, kind)
        lines.append({"kind": kind, "from": hex_of(numbers), "bits": "".join(f"{w:04x}" for w in words), "read": hex_of(read)})
    for row in rows(chosen):
        scale, stored, read = bytes_of(row, lambda x, _: round(x))
        lines.append(
            {"kind": "int8", "from": hex_of(row), "scale": hex_of([scale]), "bits": "".join(f"{q & 255:02x}" for q in stored), "read": hex_of(read)}
        )
    for i, row in enumerate([value + 0.0 for value in row] for row in rows(chosen)):
        seed, key = chosen.getrandbits(64), chosen.getrandbits(64)
        step, frequency = chosen.getrandbits(32), 1 + chosen.getrandbits(8 + i % 20)
        r = chance(seed, key, step, frequency)
        read = {
            "f16": stochastic(row, "f16", r, 0),
            "bf16": stochastic(row, "bf16", r, 0),
            "int8": bytes_of(row, lambda x, element: by_chance(x, r, element))[2],
        }
        lines.append(
            {"kind": "stochastic", "seed": str(seed), "key": str(key), "step": step, "frequency": frequency, "from": hex_of(row)}
            | {kind: hex_of(values) for kind, values in read.items()}
        )
    path = pathlib.Path(__file__).with_name("conversions.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
