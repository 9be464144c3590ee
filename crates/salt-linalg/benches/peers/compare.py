"""salt-linalg against torch, NumPy/SciPy and scikit-learn: times and errors of both sides in one run.

Needs the PyPI packages numpy, scipy, scikit-learn, torch and safetensors, and the compiled driver:

    cargo build --profile dev -p salt-linalg --example peers
    python crates/salt-linalg/benches/peers/compare.py [--driver target/debug/examples/peers] [--threads 2] [--rounds 3] [--quick]

The weights are synthetic, at the shapes of SAM's ViT-B encoder: 12 x (2304x768, 768x768, 3072x768, 768x3072) and the two neck
convolutions as 256x768 and 256x2304, with singular values that fall geometrically by four decades. Both sides alternate, round by round,
and the medians are printed. torch gets each matrix in its fast (tall) orientation. Errors are computed here, in double precision,
from the factors that either side returns. --quick takes one encoder block instead of twelve.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

parser = argparse.ArgumentParser()
parser.add_argument("--driver", default="target/debug/examples/peers")
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--rounds", type=int, default=3)
parser.add_argument("--quick", action="store_true")
arguments = parser.parse_args()
for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"):
    os.environ[variable] = str(arguments.threads)
# What the repository's cargo configuration sets for programs started by cargo.
os.environ.setdefault("MALLOC_MMAP_THRESHOLD_", str(1 << 30))
os.environ.setdefault("MALLOC_TRIM_THRESHOLD_", str((1 << 31) - 1))

import numpy as np  # noqa: E402
import scipy.linalg  # noqa: E402
import torch  # noqa: E402
from safetensors.numpy import load_file, save_file  # noqa: E402
from sklearn.utils.extmath import randomized_svd  # noqa: E402

torch.set_num_threads(arguments.threads)
random = np.random.default_rng(2025)


def weight(rows, cols):
    rank = min(rows, cols)
    left, right = (
        torch.linalg.qr(torch.from_numpy(random.standard_normal((size, rank))))[0] for size in (rows, cols)
    )
    values = torch.from_numpy(np.geomspace(10, 1e-3, rank))
    return np.ascontiguousarray(((left * values) @ right.T).numpy().astype(np.float32))


def driver(*words):
    output = subprocess.run([arguments.driver, *map(str, words)], check=True, capture_output=True, text=True).stdout
    return json.loads(output)


def errors(matrix, u, s, v_t):
    a, u, s, v_t = (np.asarray(x, dtype=np.float64) for x in (matrix, u, s, v_t))
    residual = a - (u * s) @ v_t
    defect = max(np.abs(q.T @ q - np.eye(len(s))).max() for q in (u, v_t.T))
    return np.linalg.norm(residual), np.linalg.norm(residual, 2), defect


def ours(path, name):
    factors = load_file(path)
    return factors[f"{name}.u_transposed"].T, factors[f"{name}.singular_values"], factors[f"{name}.v"].T


def torch_svd(matrix):
    tall = matrix if matrix.shape[0] >= matrix.shape[1] else matrix.T
    u, s, v_t = torch.linalg.svd(torch.from_numpy(np.ascontiguousarray(tall)), full_matrices=False)
    return (u, s, v_t) if tall is matrix else (v_t.T, s, u.T)


blocks = 1 if arguments.quick else 12
shapes = {"qkv": (2304, 768), "proj": (768, 768), "lin1": (3072, 768), "lin2": (768, 3072)}
weights = {f"{block:02}.{name}": weight(*shape) for block in range(blocks) for name, shape in shapes.items()}
weights["neck.0"], weights["neck.2"] = weight(256, 768), weight(256, 2304)

with tempfile.TemporaryDirectory() as folder:
    inputs, four, outputs = (os.path.join(folder, name) for name in ("all", "four", "factors"))
    save_file(weights, inputs)
    block = {name: matrix for name, matrix in weights.items() if name.startswith("00")}
    save_file(block, four)

    print(f"{len(weights)} matrices, {arguments.threads} threads, load average {os.getloadavg()[0]:.1f}")
    times = {"salt-linalg": [], "torch.linalg.svd": [], "salt-linalg, from the cache": [], "salt-linalg, filling the cache": []}
    cache = os.path.join(folder, "cache")
    times["salt-linalg, filling the cache"].append(driver(inputs, "-", "cached", cache)["total"])
    for _ in range(arguments.rounds):
        times["salt-linalg"].append(driver(inputs, "-", "exact")["total"])
        start = time.perf_counter()
        for matrix in weights.values():
            torch_svd(matrix)
        times["torch.linalg.svd"].append(time.perf_counter() - start)
        times["salt-linalg, from the cache"].append(driver(inputs, "-", "cached", cache)["total"])
    print("\nexact decomposition of everything, seconds (median, minimum)")
    for name, seconds in times.items():
        print(f"  {name:32} {statistics.median(seconds):8.2f} {min(seconds):8.2f}")

    print("\none matrix of uniform noise plus the identity, which no Gram matrix is good enough for: seconds (minimum), ratio")
    for rows, cols in ((768, 768), (3072, 768)):
        hard = (random.uniform(-1, 1, (rows, cols)) + np.eye(rows, cols)).astype(np.float32)
        path = os.path.join(folder, f"hard{rows}")
        save_file({"hard": hard}, path)
        mine, theirs = [], []
        for _ in range(5 * arguments.rounds):
            mine.append(driver(path, "-", "exact")["total"])
            start = time.perf_counter()
            torch_svd(hard)
            theirs.append(time.perf_counter() - start)
        print(f"  {rows}x{cols}: salt-linalg {min(mine):.4f}   torch {min(theirs):.4f}   {min(mine) / min(theirs):.2f}")

    driver(four, outputs, "exact")
    print("\nerrors of the exact decomposition: relative Frobenius, largest deviation from orthonormality")
    for name, matrix in block.items():
        norm = np.linalg.norm(matrix.astype(np.float64))
        mine = errors(matrix, *ours(outputs, name))
        theirs = errors(matrix, *torch_svd(matrix))
        lapack = errors(matrix, *scipy.linalg.svd(matrix, full_matrices=False))
        line = "   ".join(f"{side} {e[0] / norm:.1e} {e[2]:.1e}" for side, e in
                          (("salt-linalg", mine), ("torch", theirs), ("scipy", lapack)))
        print(f"  {name:8} {str(matrix.shape):12} {line}")

    exact = {name: np.linalg.svd(matrix.astype(np.float64), compute_uv=False) for name, matrix in block.items()}
    for rank in (64, 256):
        print(f"\nrandomised, rank {rank}: milliseconds (minimum of the rounds), Frobenius and spectral error over the optimum")
        for label, words in (("power, 2 iterations", ("power", rank, 2)), ("block Krylov, 4 blocks", ("krylov", rank, 3, 88 if rank == 256 else 32))):
            mine = {name: [] for name in block}
            theirs = {name: [] for name in block}
            for _ in range(arguments.rounds):
                for name, seconds in driver(four, outputs, *words).items():
                    mine[name].append(seconds)
                for name, matrix in block.items():
                    for _ in range(3):
                        start = time.perf_counter()
                        factors = randomized_svd(matrix, rank, n_iter=2, random_state=0)
                        theirs[name].append(time.perf_counter() - start)
            print(f"  {label}, scikit-learn with n_iter=2")
            for name, matrix in block.items():
                optimum = np.sqrt((exact[name][rank:] ** 2).sum()), exact[name][rank]
                a = errors(matrix, *ours(outputs, name))
                b = errors(matrix, *randomized_svd(matrix, rank, n_iter=2, random_state=0))
                print(
                    f"    {name:8} salt-linalg {1e3 * min(mine[name]):7.1f} ms {a[0] / optimum[0]:.4f} {a[1] / optimum[1]:.4f}"
                    f"   scikit-learn {1e3 * min(theirs[name]):7.1f} ms {b[0] / optimum[0]:.4f} {b[1] / optimum[1]:.4f}"
                    f"   time ratio {min(mine[name]) / min(theirs[name]):.2f}"
                )
sys.exit(0)
