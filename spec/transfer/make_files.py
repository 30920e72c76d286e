"""Writes the same rows into files of every kind that an import reads: make_files.py DIRECTORY ROWS DIM"""
import os
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import TensorSpec, serialize_file
from safetensors.numpy import save_file

directory, n, dim = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
keys = np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
# Exact in each of the types.
weights = ((np.arange(n)[:, None] * 7 + np.arange(dim)[None, :] * 3) % 64 - 32).astype(np.float32) / 8
counts = np.arange(n) % 1000


def path(name):
    return os.path.join(directory, name)


for dtype in ("float16", "float32", "float64"):
    save_file({"keys": keys.view(np.int64), "weights": weights.astype(dtype), "other": np.zeros(3, np.int8)}, path(f"{dtype}.safetensors"))
    os.mkdir(path(f"{dtype}-npy"))
    np.save(path(f"{dtype}-npy/keys.npy"), keys)
    np.save(path(f"{dtype}-npy/weights.npy"), weights.astype(dtype))
half = (weights.view(np.uint32) >> 16).astype(np.uint16)
tensor = lambda dtype, array: TensorSpec(dtype=dtype, shape=list(array.shape), data_ptr=array.ctypes.data, data_len=array.nbytes)
serialize_file({"keys": tensor("uint64", keys), "weights": tensor("bfloat16", half)}, path("bfloat16.safetensors"))
save_file({"keys": keys, "weights": weights, "frequency": counts, "last_step": counts.astype(np.int32)}, path("counts.safetensors"))


def table(weight_type, key_type=pa.uint64(), fixed=False):
    flat = pa.array(weights.reshape(-1).astype({pa.float16(): np.float16, pa.float64(): np.float64}.get(weight_type, np.float32)))
    lists = pa.FixedSizeListArray.from_arrays(flat, dim) if fixed else pa.ListArray.from_arrays(np.arange(n + 1, dtype=np.int32) * dim, flat)
    named = keys if key_type == pa.uint64() else keys.view(np.int64)
    return pa.table({"keys": pa.array(named, key_type), "note": ["a"] * n, "weights": lists,
                     "frequency": pa.array(counts, pa.int64()), "last_step": pa.array(counts, pa.uint32())})


write = lambda name, rows, **options: pq.write_table(rows, path(f"{name}.parquet"), **options)
write("usual", table(pa.float32()))
write("groups", table(pa.float32()), row_group_size=100)
write("pages", table(pa.float32()), data_page_size=512, row_group_size=700)
write("second", table(pa.float32()), data_page_version="2.0", data_page_size=1000)
write("plain", table(pa.float32()), use_dictionary=False, compression="none")
write("gzip", table(pa.float32()), compression="gzip")
write("split", table(pa.float32()), use_dictionary=False, use_byte_stream_split=["weights.list.element", "keys"])
write("half", table(pa.float16()))
write("double", table(pa.float64(), pa.int64()))
write("fixed", table(pa.float32(), fixed=True))
write("old", table(pa.float32()), version="1.0", store_schema=False)
pd.DataFrame({"keys": keys, "weights": list(weights), "frequency": counts, "last_step": counts}).to_parquet(path("pandas.parquet"))
