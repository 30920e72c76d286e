"""Makes optimizers.jsonl: what every optimizer should do in 1,000 steps, in float64, and how far PyTorch's own float32 is off.

    python -m venv venv
    venv/bin/pip install torch==2.14.1 numpy fbgemm-gpu-cpu==1.9.0
    venv/bin/python spec/golden/make-traces.py

The reference is torch.optim on float64 tensors, one tensor per row, so that a row takes part in a step only when it is
pushed. Row-wise Adagrad and FTRL are not in torch: their reference is the formula below in float64, and their float32
peers are FBGEMM's CPU kernel and the same formula in float32.
"""

import json
import pathlib

import numpy as np
import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
from fbgemm_gpu.split_table_batched_embeddings_ops_training import ComputeDevice, SplitTableBatchedEmbeddingBagsCodegen

ROWS, DIM, STEPS, BATCH = 16, 8, 1000, 12
LEARNING_RATE = float(np.float32(0.05))


class Stream:
    """lib/base/prng.ts: splitmix32. Every number made of it is exact in float32."""

    def __init__(self, seed):
        self.state = seed

    def u32(self):
        self.state = (self.state + 0x9E3779B9) & 0xFFFFFFFF
        z = self.state
        z = ((z ^ (z >> 16)) * 0x21F0AAAD) & 0xFFFFFFFF
        z = ((z ^ (z >> 15)) * 0x735A2D97) & 0xFFFFFFFF
        return z ^ (z >> 15)

    def centered(self):
        return (self.u32() >> 8) * 2.0**-24 - 0.5


def keys_of(step, stream):
    """Step 1 pushes every row; rows 12 and 13 then rest until step 700, rows 14 and 15 until the last."""
    drawn = [stream.u32() % 12 for _ in range(BATCH)]
    if step == 1:
        return list(range(ROWS)) + drawn
    if step == STEPS:
        return [12, 13, 14, 15] + drawn
    return ([12, 13] if step >= 700 and step % 10 == 0 else []) + drawn


def trace():
    """Initial weights [ROWS][DIM] and, for each step, keys and gradients; scales differ between elements."""
    stream = Stream(2024)
    weights = [[stream.centered() for _ in range(DIM)] for _ in range(ROWS)]
    steps = []
    for step in range(1, STEPS + 1):
        keys = keys_of(step, stream)
        steps.append((keys, [[stream.centered() * 2.0 ** (e % 4 - 1) for e in range(DIM)] for _ in keys]))
    return weights, steps


WEIGHTS, PUSHES = trace()


def summed(step, dtype):
    """Distinct keys with the sums of their gradients in order of occurrence."""
    sums = {}
    for key, gradient in zip(*PUSHES[step - 1]):
        gradient = torch.tensor(gradient, dtype=dtype)
        sums[key] = sums[key] + gradient if key in sums else gradient
    return sums


def clipped(gradient, options):
    clip = options.get("clip", {})
    if "value" in clip:
        return gradient.clamp(-clip["value"], clip["value"])
    if "norm" in clip:
        norm = torch.linalg.vector_norm(gradient)
        return gradient * (clip["norm"] / norm) if norm > clip["norm"] else gradient
    return gradient


class TorchRows:
    """torch.optim over one parameter per row; `decoupled` decay as torch.optim.AdamW does it, for the others."""

    def __init__(self, make, dtype, decoupled=0.0, table_step=False):
        self.rows = [torch.tensor(row, dtype=dtype, requires_grad=True) for row in WEIGHTS]
        self.optimizer = make(self.rows)
        self.decoupled, self.table_step = decoupled, table_step

    @torch.no_grad()
    def push(self, step, sums):
        for row in self.rows:
            row.grad = None
        for key, gradient in sums.items():
            row = self.rows[key]
            row.grad = gradient
            row.mul_(1 - LEARNING_RATE * self.decoupled)
            if self.table_step:
                state = self.optimizer.state[row]
                state.setdefault("exp_avg", torch.zeros_like(row))
                state.setdefault("exp_avg_sq", torch.zeros_like(row))
                state["step"] = torch.tensor(float(step - 1))
        self.optimizer.step()


class RowWiseAdagrad:
    """h += mean(g g); w -= lr / (sqrt(h) + eps) g."""

    def __init__(self, dtype, eps, decoupled=0.0):
        self.rows = [torch.tensor(row, dtype=dtype) for row in WEIGHTS]
        self.sums = [torch.zeros((), dtype=dtype) for _ in WEIGHTS]
        self.eps, self.decoupled = eps, decoupled

    def push(self, _, sums):
        for key, gradient in sums.items():
            self.rows[key] *= 1 - LEARNING_RATE * self.decoupled
            self.sums[key] = self.sums[key] + (gradient * gradient).sum() / DIM
            self.rows[key] -= LEARNING_RATE / (self.sums[key].sqrt() + self.eps) * gradient


class Fbgemm:
    """FBGEMM's EXACT_ROWWISE_ADAGRAD on the CPU, float32."""

    def __init__(self, eps):
        self.bags = SplitTableBatchedEmbeddingBagsCodegen(
            [(ROWS, DIM, EmbeddingLocation.HOST, ComputeDevice.CPU)],
            optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
            learning_rate=LEARNING_RATE,
            eps=eps,
            pooling_mode=PoolingMode.SUM,
        )
        self.weights = self.bags.split_embedding_weights()[0]
        self.weights.data.copy_(torch.tensor(WEIGHTS))

    @property
    def rows(self):
        return list(self.weights)

    def push(self, _, sums):
        keys = torch.tensor(list(sums), dtype=torch.int64)
        self.bags(keys, torch.arange(len(sums) + 1)).backward(torch.stack(list(sums.values())))


class Ftrl:
    """McMahan et al. 2013, algorithm 1, with the stored weight where the paper computes it anew."""

    def __init__(self, dtype, beta, lambda1, lambda2):
        self.rows = [torch.tensor(row, dtype=dtype) for row in WEIGHTS]
        self.z = [torch.zeros(DIM, dtype=dtype) for _ in WEIGHTS]
        self.n = [torch.zeros(DIM, dtype=dtype) for _ in WEIGHTS]
        self.beta, self.lambda1, self.lambda2 = beta, lambda1, lambda2

    def push(self, _, sums):
        for key, g in sums.items():
            n = self.n[key] + g * g
            sigma = (n.sqrt() - self.n[key].sqrt()) / LEARNING_RATE
            z = self.z[key] + g - sigma * self.rows[key]
            w = (z.sign() * self.lambda1 - z) / ((self.beta + n.sqrt()) / LEARNING_RATE + self.lambda2)
            self.z[key], self.n[key], self.rows[key] = z, n, torch.where(z.abs() <= self.lambda1, torch.zeros_like(w), w)


def of_torch(name, **extra):
    def make(options, dtype):
        decay = options.get("decay", 0.01 if name == "AdamW" else 0.0)
        decoupled = options.get("decayKind") == "decoupled"
        arguments = dict(extra, lr=LEARNING_RATE, weight_decay=0.0 if decoupled else decay)
        if name == "SGD":
            arguments.update(momentum=options.get("momentum", 0.0), nesterov=options.get("nesterov", False))
        elif name == "Adagrad":
            arguments.update(eps=options.get("eps", 1e-10))
            arguments.update(initial_accumulator_value=options.get("initialAccumulator", 0.0))
        else:
            arguments.update(betas=(options.get("beta1", 0.9), options.get("beta2", 0.999)), eps=options.get("eps", 1e-8))
        build = lambda rows: getattr(torch.optim, name)(rows, foreach=False, **arguments)
        return TorchRows(build, dtype, decay if decoupled else 0.0, options.get("step") == "table")

    return make


def row_wise(options, dtype):
    decoupled = options.get("decay", 0.0)
    if dtype == torch.float32 and not decoupled:
        return Fbgemm(1e-8)
    return RowWiseAdagrad(dtype, 1e-8, decoupled)


def ftrl(options, dtype):
    return Ftrl(dtype, options.get("beta", 1.0), options.get("lambda1", 0.0), options.get("lambda2", 0.0))


MAKERS = {
    "sgd": of_torch("SGD"),
    "adagrad": of_torch("Adagrad"),
    "rowWiseAdagrad": row_wise,
    "adam": of_torch("Adam"),
    "adamW": of_torch("AdamW"),
    "ftrl": ftrl,
}

CASES = [
    ("sgd", {}),
    ("sgd", {"momentum": 0.9}),
    ("sgd", {"momentum": 0.9, "nesterov": True}),
    ("sgd", {"momentum": 0.9, "decay": 0.01}),
    ("sgd", {"decay": 0.01, "decayKind": "decoupled"}),
    ("sgd", {"clip": {"norm": 0.5}}),
    ("sgd", {"bounds": [-0.3, 0.25]}),
    ("adagrad", {}),
    ("adagrad", {"eps": 0.001, "initialAccumulator": 0.1, "decay": 0.01}),
    ("adagrad", {"decay": 0.01, "decayKind": "decoupled"}),
    ("adagrad", {"clip": {"value": 0.2}, "bounds": [-0.4, 0.4]}),
    ("rowWiseAdagrad", {}),
    ("rowWiseAdagrad", {"decay": 0.01, "decayKind": "decoupled"}),
    ("adam", {}),
    ("adam", {"beta1": 0.3, "beta2": 0.95, "eps": 0.0001}),
    ("adam", {"decay": 0.01}),
    ("adam", {"step": "table"}),
    ("adamW", {}),
    ("adamW", {"decay": 0.1, "step": "table"}),
    ("ftrl", {}),
    ("ftrl", {"beta": 0.5, "lambda1": 0.5, "lambda2": 0.1}),
]


def run(kind, options, dtype, steps):
    """Weights [ROWS][DIM] as float64 after each of `steps`."""
    rows = MAKERS[kind](options, dtype)
    after = {}
    for step in range(1, STEPS + 1):
        rows.push(step, {key: clipped(gradient, options) for key, gradient in summed(step, dtype).items()})
        if "bounds" in options:
            with torch.no_grad():
                for row in rows.rows:
                    row.clamp_(*options["bounds"])
        if step in steps:
            after[step] = torch.stack([row.detach().double() for row in rows.rows])
    return after


def main():
    cases = []
    for kind, options in CASES:
        exact = run(kind, options, torch.float64, [1, STEPS])
        error = (run(kind, options, torch.float32, [STEPS])[STEPS] - exact[STEPS]).abs()
        peer = {"largest": error.max().item(), "rootMeanSquare": error.square().mean().sqrt().item()}
        print(kind, options, peer)
        tables = {f"after{step}": exact[step].tolist() for step in exact}
        cases.append({"kind": kind, "options": options, "peerError": peer, **tables})
    head = {"rows": ROWS, "dim": DIM, "steps": STEPS, "batch": BATCH, "learningRate": LEARNING_RATE, "torch": torch.__version__}
    lines = [json.dumps(line) + "\n" for line in [head, *cases]]
    pathlib.Path(__file__).with_name("optimizers.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
