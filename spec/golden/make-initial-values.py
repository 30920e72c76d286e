"""Makes initializers.jsonl: initial values from docs/initializers.md alone, in another language. Needs Python only.

    python spec/golden/make-initial-values.py
"""

import json
import math
import pathlib
import statistics
import struct

M64 = (1 << 64) - 1
P1, P2, P4, P5 = 0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5
P3 = 0x165667B19E3779F9
GAMMA = 0x9E3779B97F4A7C15


def f32(x):
    return struct.unpack("<f", struct.pack("<f", x))[0]


def bits32(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def rotate_left(x, n):
    return ((x << n) | (x >> (64 - n))) & M64


def xxh64_of_key(key, seed):
    h = (seed + P5 + 8) & M64
    h ^= (rotate_left((key * P2) & M64, 31) * P1) & M64
    h = (rotate_left(h, 27) * P1 + P4) & M64
    h = ((h ^ (h >> 33)) * P2) & M64
    h = ((h ^ (h >> 29)) * P3) & M64
    return h ^ (h >> 32)


def splitmix(base, i):
    x = (base + i * GAMMA) & M64
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & M64
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & M64
    return x ^ (x >> 31)


def uniform(base, dim, lower, upper):
    lower, upper = f32(lower), f32(upper)
    scale = f32((upper - lower) / 2**24)
    last = struct.unpack("<f", struct.pack("<I", bits32(upper) - 1 if upper > 0 else bits32(upper) + 1))[0] if upper else -(2.0**-149)
    for element in range(dim):
        half = splitmix(base, element // 2 + 1) >> (32 * (element % 2)) & 0xFFFFFFFF
        yield min(f32(lower + f32((half >> 8) * scale)), last)


# Wichura's coefficients, highest power first, as in the table of docs/initializers.md.
CENTRAL = (
    [2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987, 13731.69376550946, 1971.5909503065513, 133.14166789178438, 3.3871328727963665],
    [5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597, 5394.196021424751, 687.1870074920579, 42.31333070160091, 1.0],
)
MIDDLE = (
    [0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684, 3.6478483247632045, 5.769497221460691, 4.630337846156546, 1.4234371107496835],
    [1.0507500716444169e-09, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008, 0.6897673349851, 1.6763848301838038, 2.053191626637759, 1.0],
)
FAR = (
    [2.0103343992922881e-07, 2.7115555687434876e-05, 0.0012426609473880784, 0.026532189526576124, 0.29656057182850487, 1.7848265399172913, 5.463784911164114, 6.657904643501103],
    [2.0442631033899397e-15, 1.421511758316446e-07, 1.8463183175100548e-05, 0.0007868691311456133, 0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1.0],
)


def horner(coefficients, r):
    value = coefficients[0]
    for coefficient in coefficients[1:]:
        value = value * r + coefficient
    return value


def natural_log(x):
    m, e = math.frexp(x)
    m, e = m * 2, e - 1
    if m > 1.4142135623730951:
        m, e = m * 0.5, e + 1
    s = (m - 1) / (m + 1)
    total = 0.0
    for k in range(21, 0, -2):
        total = total * (s * s) + 1 / k
    return e * 0.6931471805599453 + 2 * s * total


def inverse_normal(p):
    q = p - 0.5
    if -0.425 <= q <= 0.425:
        r = 0.180625 - q * q
        return horner(CENTRAL[0], r) * q / horner(CENTRAL[1], r)
    r = math.sqrt(-natural_log(p if q <= 0 else 1 - p))
    (numerator, denominator), r = (MIDDLE, r - 1.6) if r <= 5 else (FAR, r - 5)
    x = horner(numerator, r) / horner(denominator, r)
    return -x if q < 0 else x


def normal(base, dim, mean, std, start=0.0, width=1.0):
    for element in range(dim):
        p = ((splitmix(base, element + 1) >> 12) + 0.5) * 2.0**-52
        yield f32(mean + std * inverse_normal(start + p * width))


def values(definition, base, dim):
    kind = definition["kind"]
    if kind == "zeros":
        return [0.0] * dim
    if kind == "constant":
        return [f32(definition["value"])] * dim
    if kind == "uniform":
        return list(uniform(base, dim, definition["lower"], definition["upper"]))
    cut = (0.02275013194817921, 0.9544997361036416) if kind == "truncatedNormal" else (0.0, 1.0)
    return list(normal(base, dim, definition["mean"], definition["std"], *cut))


DEFINITIONS = [
    {"kind": "zeros"},
    {"kind": "constant", "value": 0.1},
    {"kind": "uniform", "lower": -0.01, "upper": 0.01},
    {"kind": "uniform", "lower": 0.999999, "upper": 1},
    {"kind": "normal", "mean": 0, "std": 1},
    {"kind": "normal", "mean": 0.5, "std": 0.01},
    {"kind": "truncatedNormal", "mean": 0, "std": 0.02},
]
KEYS = [0, 1, 2**32, 0x0123456789ABCDEF, 2**64 - 1]
SEEDS = [0, 7, 2**64 - 1]
PROBABILITIES = [0.5 * 2.0**-52, 1e-15, 1e-12, 1e-11, 1e-6, 0.01, 0.02275, 0.0749, 0.075, 0.0751, 0.3, 0.5, 0.7, 0.92, 0.925, 0.93, 0.999, 1 - 1e-9, 1 - 2.0**-53]


def main():
    lines = []
    for definition in DEFINITIONS:
        for seed in SEEDS:
            for key in KEYS:
                row = values(definition, xxh64_of_key(key, seed), 9)
                bits = "".join(f"{bits32(value):08x}" for value in row)
                lines.append({"initializer": definition, "seed": str(seed), "key": str(key), "bits": bits})
    lines.append({"inverseNormal": [[p, statistics.NormalDist().inv_cdf(p), inverse_normal(p)] for p in PROBABILITIES]})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    pathlib.Path(__file__).with_name("initializers.jsonl").write_text(text)


if __name__ == "__main__":
    main()
