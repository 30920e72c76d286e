"""Makes placements.jsonl: slots of keys, and whole placements with what becomes of them, from docs/placement.md alone.
python3 spec/golden/make-placements.py"""

import bisect
import json
import pathlib
import random

MASK = 2**64 - 1
P1, P2, P3, P4, P5 = (
    0x9E3779B185EBCA87, 0xC2B2AE3D27D4EB4F, 0x165667B19E3779F9, 0x85EBCA77C2B2AE63, 0x27D4EB2F165667C5,
)


def rotate(x, bits):
    return ((x << bits) | (x >> (64 - bits))) & MASK


def lane_round(lane, word):
    return rotate((lane + word * P2) & MASK, 31) * P1 & MASK


def xxh64(data, seed=0):
    words = lambda at, size: int.from_bytes(data[at : at + size], "little")
    at, end = 0, len(data)
    h = (seed + P5) & MASK
    if end >= 32:
        lanes = [(seed + x) & MASK for x in (P1 + P2, P2, 0, -P1)]
        while at + 32 <= end:
            lanes = [lane_round(lane, words(at + 8 * i, 8)) for i, lane in enumerate(lanes)]
            at += 32
        h = sum(rotate(lane, bits) for lane, bits in zip(lanes, (1, 7, 12, 18))) & MASK
        for lane in lanes:
            h = ((h ^ lane_round(0, lane)) * P1 + P4) & MASK
    h = (h + end) & MASK
    while at + 8 <= end:
        h = (rotate(h ^ lane_round(0, words(at, 8)), 27) * P1 + P4) & MASK
        at += 8
    if at + 4 <= end:
        h = (rotate(h ^ (words(at, 4) * P1 & MASK), 23) * P2 + P3) & MASK
        at += 4
    while at < end:
        h = rotate(h ^ (data[at] * P5 & MASK), 11) * P1 & MASK
        at += 1
    h = (h ^ (h >> 33)) * P2 & MASK
    h = (h ^ (h >> 29)) * P3 & MASK
    return h ^ (h >> 32)


def u64(x):
    return x.to_bytes(8, "little")


def slot_of(key, placement_seed, slots=16384):
    return xxh64(u64(key), placement_seed) * slots >> 64


class Ring:
    def __init__(self, members, slots):
        counts = [round(128 * m["weight"] + 1e-9) for m in members]
        halvings = 0
        while sum(max(1, c >> halvings) for c in counts) > 2**17:
            halvings += 1
        points = []
        for number, member in enumerate(members):
            seed = xxh64(member["name"].encode())
            for i in range(max(1, counts[number] >> halvings)):
                h = xxh64(u64(i // 2), seed)
                points.append((h >> 32 if i % 2 == 0 else h & 0xFFFFFFFF, number))
        points.sort()
        self.members = [number for _, number in points]
        self.starts = [bisect.bisect_left(points, (slot * 2**32 // slots, -1)) % len(points) for slot in range(slots)]

    def replicas(self, members, slot, owner, n):
        walk = [self.members[(self.starts[slot] + i) % len(self.members)] for i in range(len(self.members))]
        chosen = [owner]
        for new_zones_only in (True, False):
            for number in walk:
                zones = [members[i]["zone"] for i in chosen]
                if len(chosen) < n and number not in chosen and not (new_zones_only and members[number]["zone"] in zones):
                    chosen.append(number)
        return chosen


def quotas_of(slots, weights, before, joined):
    total = sum(weights)
    lows = [slots * w // total for w in weights]
    highs = [-(-slots * w // total) for w in weights]
    quotas = [min(high, max(low, b)) for low, high, b in zip(lows, highs, before)]
    surplus = lambda i: quotas[i] * total - slots * weights[i]
    extra = sum(quotas) - slots
    if extra > 0:
        for i in sorted((i for i in range(len(weights)) if quotas[i] > lows[i]), key=lambda i: (-surplus(i), i))[:extra]:
            quotas[i] -= 1
    elif extra < 0:
        takers = [i for i in range(len(weights)) if quotas[i] < highs[i]]
        for i in sorted(takers, key=lambda i: (not joined[i], surplus(i), i))[:-extra]:
            quotas[i] += 1
    return quotas


def shard_quotas_of(slots, before):
    n = len(before)
    if not any(before):
        return [-(-(i + 1) * slots // n) - -(-i * slots // n) for i in range(n)]
    return quotas_of(slots, [1] * n, before, [False] * n)


def place(members, slots, previous=None):
    """previous: the earlier placement as (owners, nodes): a (name, shard) for each slot, and who was a member. Returns the same."""
    ring = Ring(members, slots)
    old, old_names = previous or ([None] * slots, set())
    numbers = {m["name"]: i for i, m in enumerate(members)}
    node = [None if o is None or o[0] not in numbers else numbers[o[0]] for o in old]
    shard = [o[1] if i is not None and o[1] < members[i]["shards"] else None for o, i in zip(old, node)]
    held = [node.count(i) for i in range(len(members))]
    weights = [round(1000 * m["weight"]) for m in members]
    quotas = quotas_of(slots, weights, held, [m["name"] not in old_names for m in members])
    shard_held = [[0] * m["shards"] for m in members]
    for i, s in zip(node, shard):
        if s is not None:
            shard_held[i][s] += 1
    shard_quotas = [shard_quotas_of(q, h) for q, h in zip(quotas, shard_held)]
    # Between nodes.
    wanting = [max(0, q - h) for q, h in zip(quotas, held)]
    leaving = [max(0, h - q) for q, h in zip(quotas, held)]
    giving = [[max(0, h - q) for q, h in zip(*pair)] for pair in zip(shard_quotas, shard_held)]
    step = 0
    while any(wanting):
        for slot in range(slots):
            i, s = node[slot], shard[slot]
            if i is not None and (leaving[i] == 0 or (s is not None and giving[i][s] == 0)):
                continue
            to = ring.members[(ring.starts[slot] + step) % len(ring.members)]
            if wanting[to] == 0:
                continue
            wanting[to] -= 1
            if i is not None:
                leaving[i] -= 1
                if s is not None:
                    giving[i][s] -= 1
            node[slot], shard[slot] = to, None
        step += 1
    # Within nodes.
    needs = [[max(0, q - h) for q, h in zip(*pair)] for pair in zip(shard_quotas, shard_held)]
    for slot in range(slots):
        i, s = node[slot], shard[slot]
        if s is not None:
            if giving[i][s] == 0:
                continue
            giving[i][s] -= 1
        to = next(j for j, need in enumerate(needs[i]) if need > 0)
        needs[i][to] -= 1
        shard[slot] = to
    owners = [(members[i]["name"], s) for i, s in zip(node, shard)]
    return (owners, {m["name"] for m in members}), ring


def fingerprint_of(owners):
    lines = [str(len(owners))]
    start = 0
    for slot in range(1, len(owners) + 1):
        if slot == len(owners) or owners[slot] != owners[start]:
            lines.append(f"{owners[start][0]}/{owners[start][1]} {slot - start}")
            start = slot
    return f"{xxh64(''.join(line + chr(10) for line in lines).encode()):016x}"


def story(title, slots, steps):
    """Placements of one cluster after another, each from the one before."""
    placement, maps = None, []
    for members in steps:
        members = sorted(members, key=lambda m: m["name"])
        placement, ring = place(members, slots, placement)
        owners = placement[0]
        counts = {m["name"]: sum(1 for o in owners if o[0] == m["name"]) for m in members}
        numbers = {m["name"]: i for i, m in enumerate(members)}
        replicas = {}
        for slot in (0, 1, slots // 3, slots - 1):
            chosen = ring.replicas(members, slot, numbers[owners[slot][0]], min(3, len(members)))
            replicas[slot] = [members[i]["name"] for i in chosen]
        maps.append({"members": members, "counts": counts, "replicas": replicas, "fingerprint": fingerprint_of(owners)})
    return {"kind": "placement", "title": title, "slots": slots, "maps": maps}


def node(name, weight=1, zone="", shards=1):
    return {"name": name, "weight": weight, "zone": zone, "shards": shards}


def main():
    chosen = random.Random(7)
    lines = []
    seeds = [0, 1, MASK, xxh64(b"items", 1), xxh64(b"users", 1)]
    for key in [0, 1, 2, 42, MASK, 2**63] + [chosen.getrandbits(64) for _ in range(34)]:
        for seed in seeds:
            lines.append({"kind": "slot", "key": str(key), "placement": str(seed), "slot": slot_of(key, seed)})
    three = [node("a"), node("b"), node("c")]
    lines += [
        story("one node, four shards", 16384, [[node("alone", shards=4)]]),
        story("three nodes, then a fourth, then without b", 16384, [three, three + [node("d")], [three[0], three[2], node("d")]]),
        story(
            "weights, zones and shards",
            16384,
            [
                [node("east-1", 2, "east", 4), node("east-2", 1, "east", 2), node("west-1", 1.5, "west", 3)],
                [node("east-1", 2, "east", 4), node("east-2", 1, "east", 5), node("west-1", 0.75, "west", 3)],
                [node("east-1", 2, "east", 2), node("west-1", 0.75, "west", 3), node("north", 100, "north", 8)],
            ],
        ),
        story("more weight than points", 1024, [[node("heavy", 100000), node("light", 0.001), node("middle", 1000)]]),
    ]
    members = [node(f"n{i}", chosen.randint(1, 9000) / 1000, f"z{i % 5}", 1 + i % 3) for i in range(60)]
    changed = [dict(m) for m in members]
    changed[7]["weight"] = 20
    lines.append(
        story("sixty nodes of random weights", 4096, [members, members + [node("zz", 3, "z9", 2)], members[1:], changed[1:]])
    )
    path = pathlib.Path(__file__).with_name("placements.jsonl")
    path.write_text("".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines))


main()
