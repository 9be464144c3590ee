"""Times medpy, MONAI, surface-distance and scikit-image beside this crate, on the same masks, in one run, single thread.

pip install numpy scipy scikit-image medpy monai surface-distance-based-measures torch
Run from the repository: python crates/medseg-metrics/benches/peers/peers.py [SEED]

Every time is the median CPU time of one call. The values are compared as well, so that no speed comes from another answer.
"""
import os
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"): os.environ[name] = "1"
import json, struct, subprocess, sys, tempfile, time, warnings
import numpy as np, torch
from scipy import ndimage as ndi
from skimage.draw import disk
from skimage.morphology import skeletonize
from medpy.metric import binary as medpy
from monai.metrics import compute_hausdorff_distance
import surface_distance
warnings.filterwarnings("ignore")
torch.set_num_threads(1)
SIDE = 512


def tree(rng, branches=14):
    mask = np.zeros((SIDE, SIDE), bool)
    for _ in range(branches):
        point, angle, radius = rng.uniform(20, SIDE - 20, 2), rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 5)
        for _ in range(int(rng.integers(60, 180))):
            angle += rng.normal(0, 0.15); point = point + 2 * np.array([np.sin(angle), np.cos(angle)])
            rr, cc = disk(tuple(point), max(radius, 0.8), shape=(SIDE, SIDE)); mask[rr, cc] = True
            radius *= 0.995
    return mask


def pairs(rng):
    reference = tree(rng)
    moved = np.roll(reference, (2, -1), (0, 1))
    missed = moved.copy(); missed[: SIDE // 3, : SIDE // 2] = False
    return {"moved": (moved, reference), "moved, part missed": (missed, reference), "unrelated": (tree(rng), reference)}


def cldice(p, r):
    sp, sr = skeletonize(p), skeletonize(r)
    precision, sensitivity = (sp & r).sum() / sp.sum(), (sr & p).sum() / sr.sum()
    return 2 * precision * sensitivity / (precision + sensitivity)


def monai(p, r):
    t = lambda m: torch.from_numpy(m[None, None].astype(np.float32))
    return float(compute_hausdorff_distance(t(p), t(r), include_background=True, percentile=95))


def deepmind(p, r):
    return surface_distance.compute_robust_hausdorff(surface_distance.compute_surface_distances(r, p, (1.0, 1.0)), 95)


PEERS = {"MONAI HD95": monai, "medpy HD95": medpy.hd95, "surface-distance HD95": deepmind, "scikit-image clDice": cldice}


def timed(function, p, r, repeats=9):
    value, seconds = function(p, r), []
    for _ in range(repeats):
        start = time.process_time(); function(p, r); seconds.append(time.process_time() - start)
    return value, float(np.median(seconds))


def main(seed):
    cases = pairs(np.random.default_rng(seed))
    with tempfile.NamedTemporaryFile(suffix=".masks") as file:
        file.write(struct.pack("<3I", len(cases), SIDE, SIDE))
        for pair in cases.values():
            for mask in pair: file.write(mask.astype(np.uint8).tobytes())
        file.flush()
        ours = subprocess.run(["cargo", "bench", "--quiet", "-p", "medseg-metrics", "--bench", "peers", "--", file.name],
                              check=True, capture_output=True, text=True).stdout.splitlines()
    for (name, (p, r)), line in zip(cases.items(), ours):
        mine = json.loads(line)
        peers = {peer: timed(function, p, r) for peer, function in PEERS.items()}
        values = [peers["MONAI HD95"][0], peers["medpy HD95"][0], peers["surface-distance HD95"][0], peers["scikit-image clDice"][0]]
        assert np.allclose(values, mine["values"], rtol=1e-5), (values, mine["values"])
        print(f"{name}: {int(p.sum())} and {int(r.sum())} foreground pixels, values agree")
        for peer, (_, seconds) in peers.items(): print(f"  {peer:34} {1e3 * seconds:9.3f} ms")
        fastest = min(seconds for peer, (_, seconds) in peers.items() if "HD95" in peer)
        thinning = peers["scikit-image clDice"][1]
        for label, key, against in [("HD95 alone", "hd95_max_directed", fastest), ("all boundary metrics, 5 definitions", "boundary_set", fastest),
                                    ("clDice", "cldice", thinning)]:
            print(f"  ours, {label:28} {1e3 * mine[key]:9.3f} ms   1/{against / mine[key]:.1f} of the fastest peer")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 1)
