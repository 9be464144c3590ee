"""Loads adapters that salt-peft wrote into Hugging Face PEFT and compares the outputs.

pip install torch peft safetensors.  Run from the root of the repository:
    cargo run -p salt-peft --example exchange -- OUT
    python crates/salt-peft/benches/peers/hf_exchange.py OUT
Prints the largest relative error of each adapter, and ends with an error above 1e-5.
"""
import importlib.util, sys, warnings
from pathlib import Path
import torch
from peft import PeftModel
from safetensors.torch import load_file

fixtures = Path(__file__).resolve().parents[2] / "tests" / "fixtures"
spec = importlib.util.spec_from_file_location("hf_peft", fixtures / "hf_peft.py")
toy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(toy)


def main(out):
    out, failed = Path(out), False
    io = load_file(out / "io.safetensors")
    base = load_file(fixtures / "hf_peft" / "base.safetensors")
    for folder in sorted(path for path in out.iterdir() if path.is_dir()):
        model = toy.Base()
        model.load_state_dict(base)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model = PeftModel.from_pretrained(model, folder).eval()
        with torch.no_grad():
            y, expected = model(io["x"]), io["y_" + folder.name]
            merged = model.merge_and_unload()(io["x"])
        error, merged_error = ((v - expected).norm().item() / expected.norm().item() for v in (y, merged))
        failed |= max(error, merged_error) > 1e-5
        notes = {str(w.message).split("\n")[0][:110] for w in caught}
        print(f"{folder.name:12} outputs {error:.1e}  merged {merged_error:.1e}", *notes, sep="  ")
    if failed:
        sys.exit("an adapter differs by more than 1e-5")


if __name__ == "__main__":
    main(sys.argv[1])
