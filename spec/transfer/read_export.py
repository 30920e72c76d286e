"""Reads an export as its users do and prints what is in it as JSON: read_export.py FORMAT PATH"""
import base64
import json
import os
import sys

import numpy as np


def read(kind, path):
    if kind == "safetensors":
        from safetensors import safe_open
        with safe_open(path, framework="numpy") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()["embershard.table"]
    if kind == "npy":
        names = [name[:-4] for name in os.listdir(path) if name.endswith(".npy")]
        with open(os.path.join(path, "table.json"), encoding="utf-8") as file:
            description = file.read()
        # Mapped, not read: what a file of a hundred gigabytes needs.
        return {name: np.load(os.path.join(path, name + ".npy"), mmap_mode="r") for name in names}, description
    if kind == "pandas":
        import pandas as pd
        frame = pd.read_parquet(path)
        lists = ("weights", "state")
        columns = {name: np.stack(frame[name]) if name in lists else frame[name].to_numpy() for name in frame}
        return columns, None
    import pyarrow.parquet as pq
    table = pq.read_table(path)
    assert pq.ParquetFile(path).metadata.num_rows == table.num_rows
    columns = {}
    for name in table.column_names:
        column = table[name].combine_chunks()
        if name in ("weights", "state"):
            columns[name] = column.flatten().to_numpy().reshape(table.num_rows, -1)
        else:
            columns[name] = column.to_numpy()
    return columns, table.schema.metadata[b"embershard.table"].decode()


columns, description = read(sys.argv[1], sys.argv[2])
order = np.argsort(columns["keys"])
for name, dtype in dict(keys="uint64", weights="float32", state="float32", frequency="uint32", last_step="uint32").items():
    assert name not in columns or columns[name].dtype == dtype, (name, columns[name].dtype)
encoded = {name: base64.b64encode(np.ascontiguousarray(column[order])).decode() for name, column in columns.items()}
print(json.dumps({"columns": encoded, "description": description}))
