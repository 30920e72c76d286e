"""PyTorch's and FBGEMM's tables on one CPU thread, as peers of the benchmark.

    python torch_tables.py embedding|fbgemm ROWS DIM BATCH SEED

reads lines `pull|push uniform|zipf MILLISECONDS` and answers each with {"rows": R, "ns": N}. Both index densely: they do
not hash, and rows are indices. Indices and gradients are made outside of the time that is counted.

embedding: nn.Embedding(sparse=True); pull is its forward, push is torch.optim.Adagrad's step given the sparse gradient
           (which sums equal indices itself: coalesce).
fbgemm:    SplitTableBatchedEmbeddingBagsCodegen, bags of one row; pull is its forward, push its backward, which applies
           row-wise Adagrad.
"""
import json
import os
import sys
import time

os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")

import numpy
import torch

LEARNING_RATE = 0.05
EXPONENT = 1.05
CHUNK_BATCHES = 16


class Embedding:
    def __init__(self, rows, dim, batch):
        self.table = torch.nn.Embedding(rows, dim, sparse=True, _weight=torch.full((rows, dim), 0.01))
        self.optimizer = torch.optim.Adagrad(self.table.parameters(), lr=LEARNING_RATE)
        self.gradients = (torch.rand(batch, dim) - 0.5) * 0.02

    def pull(self, indices):
        with torch.no_grad():
            self.table(indices)

    def push(self, indices):
        weight = self.table.weight
        weight.grad = torch.sparse_coo_tensor(indices.unsqueeze(0), self.gradients, weight.shape, check_invariants=False)
        return self.optimizer.step

    versions = {"torch": torch.__version__}


class Fbgemm:
    def __init__(self, rows, dim, batch):
        import fbgemm_gpu
        from fbgemm_gpu.split_embedding_configs import EmbOptimType
        from fbgemm_gpu.split_table_batched_embeddings_ops_common import EmbeddingLocation, PoolingMode
        from fbgemm_gpu.split_table_batched_embeddings_ops_training import (
            ComputeDevice,
            SplitTableBatchedEmbeddingBagsCodegen,
        )

        self.table = SplitTableBatchedEmbeddingBagsCodegen(
            [(rows, dim, EmbeddingLocation.HOST, ComputeDevice.CPU)],
            optimizer=EmbOptimType.EXACT_ROWWISE_ADAGRAD,
            learning_rate=LEARNING_RATE,
            pooling_mode=PoolingMode.SUM,
        )
        with torch.no_grad():
            for weights in self.table.split_embedding_weights():
                weights.zero_()
        self.offsets = torch.arange(batch + 1, dtype=torch.int64)
        self.gradients = (torch.rand(batch, dim) - 0.5) * 0.02
        self.versions = {"torch": torch.__version__, "fbgemm-gpu-cpu": fbgemm_gpu.__version__}

    def pull(self, indices):
        with torch.no_grad():
            self.table(indices, self.offsets)

    def push(self, indices):
        output = self.table(indices, self.offsets)
        return lambda: output.backward(self.gradients)


class Draws:
    """Indices for CHUNK_BATCHES batches: uniform, or Zipf by inverting the distribution, scattered over the table."""

    def __init__(self, rows, batch, seed):
        self.rows, self.batch = rows, batch
        self.random = numpy.random.default_rng(seed)
        self.cumulated = None

    def chunk(self, distribution):
        count = CHUNK_BATCHES * self.batch
        if distribution == "uniform":
            indices = self.random.integers(0, self.rows, count)
        else:
            if self.cumulated is None:
                weights = numpy.arange(1, self.rows + 1, dtype=numpy.float64) ** -EXPONENT
                self.cumulated = numpy.cumsum(weights) / weights.sum()
            ranks = numpy.searchsorted(self.cumulated, self.random.random(count))
            indices = numpy.minimum(ranks, self.rows - 1).astype(numpy.int64) * 1000003 % self.rows
        return torch.from_numpy(indices).split(self.batch)


def measure(table, operation, batches):
    if operation == "pull":
        start = time.perf_counter_ns()
        for indices in batches:
            table.pull(indices)
        return time.perf_counter_ns() - start
    spent = 0
    for indices in batches:
        step = table.push(indices)
        start = time.perf_counter_ns()
        step()
        spent += time.perf_counter_ns() - start
    return spent


def main():
    kind, rows, dim, batch, seed = sys.argv[1], *map(int, sys.argv[2:6])
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    table = {"embedding": Embedding, "fbgemm": Fbgemm}[kind](rows, dim, batch)
    draws = Draws(rows, batch, seed)
    print(json.dumps({"ready": True, **table.versions}), flush=True)
    for line in sys.stdin:
        operation, distribution, limit_ms = line.split()
        spent = visited = 0
        while spent < float(limit_ms) * 1e6:
            batches = draws.chunk(distribution)
            # A slow step needs no whole chunk to be timed well.
            batches = batches if operation == "pull" else batches[: CHUNK_BATCHES // 4]
            spent += measure(table, operation, batches)
            visited += len(batches) * batch
        print(json.dumps({"rows": visited, "ns": spent}), flush=True)


if __name__ == "__main__":
    main()
