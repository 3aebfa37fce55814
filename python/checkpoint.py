"""Checkpoints of torch: read into a safetensors file, or written from one.

    checkpoint.py probe
    checkpoint.py keys IN
    checkpoint.py read IN PLAN OUT
    checkpoint.py write IN PLAN OUT

IN of `keys` and `read`, and OUT of `write`, is a folder with torch's distributed form (`.metadata` and
`*.distcp`) or a file that `torch.save` made. PLAN is a JSON file with the tensors to write, in order:
`{"to": name, "shape": [...], "parts": [{"from": name, "rows": [first, end] or null}]}`. A tensor is its parts,
one below the other. At most one tensor is in memory, but for `torch.save`'s form, which is mapped.
"""

import importlib.metadata
import json
import os
import pickle
import sys
import warnings

PACKAGES = ["torch", "ai2-olmo-core", "ai2-olmo", "transformers", "safetensors", "numpy", "accelerate"]


def versions():
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return found


def probe():
    """What is installed, as JSON. torch alone is imported: whether it loads at all is part of the answer."""
    report = {
        "python": sys.version.split()[0],
        "executable": sys.executable,
        "packages": versions(),
        "torch": None,
    }
    try:
        import torch

        report["torch"] = {
            "cuda": torch.version.cuda,
            "devices": torch.cuda.device_count() if torch.cuda.is_available() else 0,
            "gloo": torch.distributed.is_available() and torch.distributed.is_gloo_available(),
        }
    except Exception as error:  # whatever keeps it from loading
        report["error"] = f"{type(error).__name__}: {error}"
    print(json.dumps(report))


class MetadataUnpickler(pickle.Unpickler):
    """Reads `.metadata`, a pickle, and makes nothing but what such a file is of: others could run a program.

    OLMo-core has a class of its own for where a tensor lies, with the fields of torch's, which takes its
    place, so that its package need not be there.
    """

    ALLOWED = {
        "torch": {"Size", "device", "float64", "float32", "float16", "bfloat16", "int64", "int32", "int16",
                  "int8", "uint8", "bool", "strided"},
        "torch.serialization": {"_get_layout"},
        "torch.distributed.checkpoint.metadata": {
            "Metadata", "MetadataIndex", "TensorStorageMetadata", "BytesStorageMetadata",
            "ChunkStorageMetadata", "TensorProperties", "StorageMeta", "_MEM_FORMAT_ENCODING"},
        "torch.distributed.checkpoint.filesystem": {"_StorageInfo", "_StoragePrefix"},
        "collections": {"OrderedDict"},
        "pathlib": {"Path", "PosixPath", "PurePosixPath"},
    }

    def find_class(self, module, name):
        if (module, name) == ("olmo_core.distributed.checkpoint.filesystem", "_StorageInfo"):
            module = "torch.distributed.checkpoint.filesystem"
        if name not in self.ALLOWED.get(module, ()):
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no checkpoint is of")
        return super().find_class(module, name)


def reader(path):
    """torch's own reader, over metadata that were read with care."""
    from torch.distributed.checkpoint import FileSystemReader

    class Reader(FileSystemReader):
        def read_metadata(self, *_, **__):
            with open(os.path.join(path, ".metadata"), "rb") as file:
                return MetadataUnpickler(file).load()

    return Reader(path)


class Distributed:
    """A folder in torch's distributed form."""

    def __init__(self, path):
        self.reader = reader(path)
        self.tensors = {}
        for name, entry in self.reader.read_metadata().state_dict_metadata.items():
            if hasattr(entry, "size"):
                self.tensors[name] = (list(entry.size), entry.properties.dtype)

    def get(self, name):
        import torch
        from torch.distributed.checkpoint import load

        size, dtype = self.tensors[name]
        state = {name: torch.empty(size, dtype=dtype)}
        load(state, storage_reader=self.reader, no_dist=True)
        return state[name]


class Saved:
    """A file that `torch.save` made: tensors by name, perhaps under `model`."""

    def __init__(self, path):
        import torch

        # Weights only: a pickle of anything else is refused, not run.
        state = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        state = state.get("model", state)
        self.state = {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}
        self.tensors = {name: (list(value.shape), value.dtype) for name, value in self.state.items()}

    def get(self, name):
        return self.state[name]


def opened(path):
    return Distributed(path) if os.path.isdir(path) else Saved(path)


def keys(path):
    tensors = opened(path).tensors
    print(json.dumps({name: [size, str(dtype)] for name, (size, dtype) in tensors.items()}))


def gathered(tensor, get):
    """A tensor of the plan, out of its parts."""
    import torch

    parts = []
    for part in tensor["parts"]:
        value = get(part["from"])
        rows = part.get("rows")
        parts.append(value if rows is None else value[rows[0]:rows[1]])
    whole = parts[0] if len(parts) == 1 else torch.cat(parts)
    if list(whole.shape) != tensor["shape"]:
        sys.exit(f"{tensor['parts'][0]['from']} has shape {list(whole.shape)}, not {tensor['shape']}")
    return whole


def read(path, plan, out):
    """Writes safetensors by hand, one tensor at a time: the library would hold all of them."""
    import torch

    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    source = opened(path)
    header, end = {"__metadata__": {"format": "pt"}}, 0
    for tensor in plan:
        dtype = source.tensors[tensor["parts"][0]["from"]][1]
        if dtype not in names:
            sys.exit(f"{tensor['parts'][0]['from']} is stored as {dtype}, which no model's weights are")
        start = end
        size = torch.empty((), dtype=dtype).element_size()
        for length in tensor["shape"]:
            size *= length
        end += size
        header[tensor["to"]] = {"dtype": names[dtype], "shape": tensor["shape"], "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(out, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for number, tensor in enumerate(plan):
            value = gathered(tensor, source.get).contiguous()
            file.write(value.flatten().view(torch.uint8).numpy().tobytes())
            print(json.dumps({"done": number + 1, "total": len(plan)}), flush=True)


def write(path, plan, out):
    """Makes torch's distributed form out of safetensors."""
    from safetensors import safe_open
    from torch.distributed.checkpoint import FileSystemWriter, save

    with safe_open(path, "pt") as file:
        state = {tensor["to"]: gathered(tensor, file.get_tensor).float() for tensor in plan}
        save(state, storage_writer=FileSystemWriter(out), no_dist=True)
    print(json.dumps({"done": len(plan), "total": len(plan)}), flush=True)


def main(command, *rest):
    if command == "probe":
        return probe()
    if command == "keys":
        return keys(rest[0])
    source, plan, out = rest
    with open(plan, encoding="utf-8") as file:
        tensors = json.load(file)
    return {"read": read, "write": write}[command](source, tensors, out)


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="torch.distributed is disabled")
    try:
        main(*sys.argv[1:])
    except (OSError, KeyError, RuntimeError, pickle.UnpicklingError) as error:
        # What a damaged checkpoint gives; a line for the program that asked.
        sys.exit(f"{type(error).__name__}: {error}")
