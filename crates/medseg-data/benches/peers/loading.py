"""Images per second of torchvision and Pillow: load, resize to 512, augment; the work of benches/loading.rs.

pip install torch torchvision pillow numpy.  Run: python loading.py FOLDER [WORKERS] [EPOCHS]

FOLDER holds images/<name>.png and masks/<name>.png (point MEDSEG_BENCH_DIR of the Rust benchmark at the same folder: it makes
one there if none exists). Per sample: Pillow decodes both; longest side to 512 (bilinear with antialiasing); flipped with
probability 1/2; rotated and scaled in one affine step with probability 3/4 (image bilinear, mask nearest); brightness and contrast
with probability 1/2 each; normalised and padded; batches of 8 from torch's DataLoader with persistent workers and one thread each.
"""
import random, sys, time
from pathlib import Path
import numpy as np, torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import InterpolationMode, functional as F

S = 512
MEAN, STD = [123.675 / 255, 116.28 / 255, 103.53 / 255], [58.395 / 255, 57.12 / 255, 57.375 / 255]


class Folder(Dataset):
    def __init__(self, root): self.root, self.names = Path(root), sorted(p.name for p in (Path(root) / "images").iterdir())
    def __len__(self): return len(self.names)

    def __getitem__(self, i):
        image = Image.open(self.root / "images" / self.names[i]); mask = Image.open(self.root / "masks" / (Path(self.names[i]).stem + ".png")).convert("L")
        w, h = image.size; s = S / max(w, h); size = (int(w * s + 0.5), int(h * s + 0.5))
        image, mask = image.resize(size, Image.BILINEAR), mask.resize(size, Image.BILINEAR).point(lambda v: 255 if v >= 128 else 0)
        if random.random() < 0.5: image, mask = F.hflip(image), F.hflip(mask)
        angle = random.uniform(-15, 15) if random.random() < 0.5 else 0.0; scale = random.uniform(0.85, 1.2) if random.random() < 0.5 else 1.0
        if angle or scale != 1.0:
            image = F.affine(image, angle, [0, 0], scale, [0.0], interpolation=InterpolationMode.BILINEAR)
            mask = F.affine(mask, angle, [0, 0], scale, [0.0], interpolation=InterpolationMode.NEAREST)
        if random.random() < 0.5: image = F.adjust_brightness(image, random.uniform(0.8, 1.2))
        if random.random() < 0.5: image = F.adjust_contrast(image, random.uniform(0.8, 1.2))
        x = F.normalize(F.to_tensor(image.convert("RGB")), MEAN, STD); y = (torch.from_numpy(np.array(mask)) >= 128).float()[None]
        pad = [0, 0, S - size[0], S - size[1]]
        return F.pad(x, pad), F.pad(y, pad)


def main(root, workers, epochs):
    torch.set_num_threads(1); data = Folder(root)
    loader = DataLoader(data, batch_size=8, num_workers=workers, persistent_workers=workers > 0, prefetch_factor=2 if workers else None)
    for x, y in loader: pass  # starts the workers
    rates = []
    for _ in range(epochs):
        t = time.perf_counter(); n = sum(len(x) for x, y in loader); rates.append(n / (time.perf_counter() - t))
    print(f"{len(data)} images, {workers} workers: median {np.median(rates):.1f} images/s, best {max(rates):.1f}")


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 2, int(sys.argv[3]) if len(sys.argv) > 3 else 20)
