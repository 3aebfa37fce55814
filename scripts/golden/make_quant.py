"""Rows of weights and the blocks that llama.cpp makes of them, with and without importance.

llama.cpp comes from the sdist of llama-cpp-python on PyPI. Only ggml.c and ggml-quants.c of it are
compiled, by `cc`, as llama.cpp's own build compiles them for any x86-64: without -march and without
-ffast-math. -ffp-contract=off keeps other processors to the same operations.

Bytes that are blocks of no weights are dequantised as well.
"""

import ctypes
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import numpy as np
from common import out_dir
from safetensors.numpy import save_file

SDIST = "llama-cpp-python==0.3.36"
SHA256 = "832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e"
FLAGS = ["-O2", "-DNDEBUG", "-ffp-contract=off", "-std=gnu11", "-D_GNU_SOURCE", "-fPIC", "-shared"]

# Name: (weights in a block, bytes of a block)
FORMATS = {
    "q8_0": (32, 34),
    "q4_0": (32, 18),
    "q4_k": (256, 144),
    "q5_k": (256, 176),
    "q6_k": (256, 210),
    "q5_0": (32, 22),
}
COLUMNS = 512
SHORT = 288  # nine blocks of 32: not a multiple of the eight that are searched together


def fetch_source(folder):
    """ggml's folder of the sdist. pip asks scikit-build-core for its metadata, and builds nothing."""
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-build-isolation"]
    subprocess.run([*command, "--no-binary", ":all:", "-d", folder, SDIST], check=True)
    archive = next(folder.glob("*.tar.gz"))
    assert hashlib.sha256(archive.read_bytes()).hexdigest() == SHA256, "another sdist"
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return next(folder.glob("*/vendor/llama.cpp/ggml"))


def compile_ggml(folder):
    ggml = fetch_source(folder)
    # cmake's work; nothing here depends on it.
    header = '#define GGML_VERSION "0"\n#define GGML_COMMIT "0"\n'
    (folder / "ggml-version.h").write_text(header)
    library = folder / "libggml.so"
    include = ["-I", folder, "-I", ggml / "include", "-I", ggml / "src"]
    sources = [ggml / "src" / "ggml.c", ggml / "src" / "ggml-quants.c"]
    subprocess.run(["cc", *FLAGS, *include, *sources, "-o", library, "-lm"], check=True)
    # Lazily, as functions that are never called are missing.
    return ctypes.CDLL(library, mode=1)


def pointer(array):
    return array.ctypes.data_as(ctypes.c_void_p)


def quantize(lib, name, rows, importance):
    length, size = FORMATS[name]
    out = np.zeros((rows.shape[0], rows.shape[1] // length * size), np.uint8)
    # What ggml_quantize_chunk calls.
    function = getattr(lib, "quantize_" + name.replace("_k", "_K"))
    function.restype = ctypes.c_size_t
    count, columns = map(ctypes.c_int64, rows.shape)
    weights = None if importance is None else pointer(importance)
    assert function(pointer(rows), pointer(out), count, columns, weights) == out.nbytes
    return out


def dequantize(lib, name, blocks):
    length, size = FORMATS[name]
    out = np.zeros((blocks.shape[0], blocks.shape[1] // size * length), np.float32)
    function = getattr(lib, "dequantize_row_" + name.replace("_k", "_K"))
    function.restype = None
    function(pointer(blocks), pointer(out), ctypes.c_int64(out.size))
    return out


def cut_to_bf16(numbers):
    return (numbers.astype(np.float32).view(np.uint32) & 0xFFFF0000).view(np.float32)


def make_rows(rng):
    n = COLUMNS

    def normal(scale):
        return rng.standard_normal(n) * scale

    rows = {
        "normal": normal(0.02),
        "as stored in bf16": cut_to_bf16(normal(0.5)),
        "outliers": rng.standard_t(2, n) * 0.02,
        "positive": rng.random(n) + 0.1,
        "negative": -rng.random(n) - 0.1,
        "zeros": np.zeros(n),
        "a constant": np.full(n, 0.7),
        "a negative constant": np.full(n, -0.7),
        "one weight": np.where(np.arange(n) == 300, -3.0, 0.0),
        "a ramp": np.linspace(-1, 1, n),
        "halves": rng.integers(-16, 16, n) * 0.5,
        "two values": np.where(rng.random(n) < 0.5, -0.25, 0.5),
        # Some sub-blocks get a scale of 0.
        "uneven sub-blocks": normal(1.0) * np.repeat(10.0 ** -(np.arange(n // 16) % 7), 16),
        "tiny": normal(1e-7),
        "negligible": normal(1e-20),
        "subnormal": normal(1e-40),
        "large": normal(3e4),
        "the largest": np.where(np.arange(n) % 3 == 0, -4e5, 4e5),
    }
    return np.stack([row.astype(np.float32) for row in rows.values()])


def main():
    out = out_dir(__doc__) / "quant"
    out.mkdir(exist_ok=True)
    rng = np.random.default_rng(20)
    rows = make_rows(rng)
    importance = (rng.gamma(0.5, 2.0, COLUMNS) ** 2).astype(np.float32)
    importance[::37] = 0
    tensors = {"rows": rows, "importance": importance}
    with tempfile.TemporaryDirectory() as folder:
        lib = compile_ggml(Path(folder))
        for name, (length, size) in FORMATS.items():
            plain = quantize(lib, name, rows, None)
            tensors[f"{name}.blocks"] = plain
            tensors[f"{name}.numbers"] = dequantize(lib, name, plain)
            tensors[f"{name}.important_blocks"] = quantize(lib, name, rows, importance)
            if length == 32:
                short = np.ascontiguousarray(rows[:, :SHORT]), importance[:SHORT].copy()
                tensors[f"{name}.short_blocks"] = quantize(lib, name, *short)
            noise = rng.integers(0, 256, (1, 64 * size), np.uint8)
            tensors[f"{name}.noise"] = noise
            tensors[f"{name}.noise_numbers"] = dequantize(lib, name, noise)
    save_file(tensors, out / "blocks.safetensors")


if __name__ == "__main__":
    main()
