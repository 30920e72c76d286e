"""Makes rows.jsonl: the `data` of frames that bring rows as each element type, from docs/wire.md and docs/storage-types.md alone.

    python spec/golden/make-rows.py
"""

import importlib
import json
import pathlib
import random
import struct

conversions = importlib.import_module("make-conversions")
NAMES = ["F32", "F16", "BF16", "Int8"]


def padded(data):
    return data + bytes(-len(data) % 8)


def values_of(element, rows):
    """The columns of values, and what they are read as."""
    if element == "F32":
        return [b"".join(struct.pack("<f", v) for row in rows for v in row)], [v for row in rows for v in row]
    if element == "Int8":
        stored = [conversions.bytes_of(row, lambda x, _: round(x)) for row in rows]
        numbers = b"".join(struct.pack("<b", q) for _, row, _ in stored for q in row)
        scales = b"".join(struct.pack("<f", scale) for scale, _, _ in stored)
        return [numbers, scales], [v for _, _, row in stored for v in row]
    words, read = conversions.nearest([v for row in rows for v in row], element.lower())
    return [b"".join(struct.pack("<H", word) for word in words)], read


def main():
    chosen = random.Random(2)
    lines = []
    for dim in (1, 5, 8, 64):
        for count in (1, 3):
            rows = [[conversions.f32(chosen.gauss(0, 1) * 2.0 ** chosen.randrange(-20, 18)) for _ in range(dim)] for _ in range(count)]
            state = [conversions.f32(chosen.uniform(0, 9)) for _ in range(count * dim)]
            for number, element in enumerate(NAMES):
                columns, read = values_of(element, rows)
                columns.append(b"".join(struct.pack("<f", v) for v in state))
                data = b"".join(padded(column) for column in columns[:-1]) + columns[-1]
                lines.append(
                    {
                        "element": number,
                        "dim": dim,
                        "count": count,
                        "rows": conversions.hex_of([v for row in rows for v in row]),
                        "state": conversions.hex_of(state),
                        "data": data.hex(),
                        "read": conversions.hex_of(read),
                    }
                )
    path = pathlib.Path(__file__).with_name("rows.jsonl")
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


if __name__ == "__main__":
    main()
