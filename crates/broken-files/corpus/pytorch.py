"""Writes small PyTorch files without PyTorch: an archive of torch.save with every kind of float, one with what trainers put beside a
model, and the older format that is a row of pickles.  Run: python corpus/pytorch.py"""
import collections, io, pickle, struct, sys, types, zipfile
from pathlib import Path


def module(name, **members):
    made = types.ModuleType(name)
    for key, value in members.items():
        value.__module__, value.__qualname__ = name, key
        setattr(made, key, value)
    sys.modules[name] = made


def _rebuild_tensor_v2(*parts): ...
def _rebuild_parameter(*parts): ...


KINDS = {name: type(name, (), {}) for name in ["FloatStorage", "HalfStorage", "BFloat16Storage", "DoubleStorage", "LongStorage"]}
module("torch", **KINDS)
module("torch._utils", _rebuild_tensor_v2=_rebuild_tensor_v2, _rebuild_parameter=_rebuild_parameter)
sys.modules["torch"]._utils = sys.modules["torch._utils"]


class Storage:
    def __init__(self, kind, key, content, count):
        self.kind, self.key, self.content, self.count = kind, key, content, count


class Tensor:
    def __init__(self, storage, shape, offset=0):
        self.storage, self.shape, self.offset = storage, shape, offset

    def __reduce__(self):
        strides, step = [], 1
        for size in reversed(self.shape):
            strides.insert(0, step)
            step *= size
        arguments = (self.storage, self.offset, tuple(self.shape), tuple(strides), False, collections.OrderedDict())
        return _rebuild_tensor_v2, arguments


class Parameter(Tensor):
    def __reduce__(self):
        return _rebuild_parameter, (Tensor(self.storage, self.shape, self.offset), True, collections.OrderedDict())


class Pickler(pickle.Pickler):
    def __init__(self, file, legacy):
        super().__init__(file, 2)
        self.legacy = legacy

    def persistent_id(self, value):
        if isinstance(value, Storage):
            rest = (None,) if self.legacy else ()
            return ("storage", KINDS[value.kind], value.key, "cpu", value.count, *rest)


def storages():
    floats = struct.pack("<6f", 0.5, -1.0, 2.0, 0.25, 3.0, -0.125)
    return [
        Storage("FloatStorage", "0", floats, 6),
        Storage("HalfStorage", "1", struct.pack("<4e", 1.0, 0.5, -2.0, 8.0), 4),
        Storage("BFloat16Storage", "2", b"\x80\x3f\x00\x40", 2),
        Storage("DoubleStorage", "3", struct.pack("<2d", 1.5, -2.5), 2),
        Storage("LongStorage", "4", struct.pack("<q", 7), 1),
    ]


def state(made):
    single, half, brain, double, whole = made
    return collections.OrderedDict([
        ("weight", Tensor(single, [2, 2])), ("bias", Parameter(single, [2], 4)), ("half", Tensor(half, [4])),
        ("brain", Tensor(brain, [2, 1])), ("double", Tensor(double, [2])), ("count", Tensor(whole, [])),
    ])


def pickled(value, legacy=False):
    out = io.BytesIO()
    Pickler(out, legacy).dump(value)
    return out.getvalue()


def archive(value, made):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as file:
        for name, content in [("data.pkl", pickled(value)), ("byteorder", b"little"), *[(f"data/{s.key}", s.content) for s in made], ("version", b"3\n")]:
            # A fixed time: the same bytes in every run.
            file.writestr(zipfile.ZipInfo(f"archive/{name}"), content)
    return out.getvalue()


def legacy(value, made):
    out = io.BytesIO()
    for part in [0x1950a86a20f9469cfc6c, 1001, {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}]:
        pickle.dump(part, out, 2)
    out.write(pickled(value, legacy=True))
    pickle.dump([storage.key for storage in made], out, 2)
    for storage in made:
        out.write(struct.pack("<q", storage.count) + storage.content)
    return out.getvalue()


folder = Path(__file__).parent / "checkpoint"
folder.mkdir(exist_ok=True)
wrapped = lambda made: {"epoch": 3, "state_dict": state(made), "optimizer": {"lr": 1e-4, "betas": (0.9, 0.999), "state": {0: None}}, "losses": [0.5, 1, True]}
for name, file in [("floats.pth", archive(state(storages()), storages())), ("trainer.pth", archive(wrapped(storages()), storages())),
                   ("older.pth", legacy(state(storages()), storages()))]:
    (folder / name).write_bytes(file)
    print(name, len(file))
