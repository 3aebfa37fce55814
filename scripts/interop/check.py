"""Holds our cache against the one of the real `huggingface_hub`, and our mock of the hub too.

The real client downloads from the mock that the Node tests use, and finds there what it expects of a
hub. What it leaves in the cache is the listing in `__test__/hub/golden/python-cache.txt`, which the
Node tests compare theirs with. Then each side uses what the other has downloaded, and both download
at once, into one cache.

    npm run build
    python -m venv .venv && .venv/bin/pip install -r scripts/interop/requirements.txt
    .venv/bin/python scripts/interop/check.py            # compare with the golden listing
    .venv/bin/python scripts/interop/check.py --write    # make the golden listing anew
"""

import argparse
import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = ROOT / "__test__/hub/golden/python-cache.txt"
ID = "allenai/OLMo-2-mock"
COMMIT = "1" * 40
# What the engine reads, as `src/hub/select.ts` says it.
FILES = [
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true", help="make the golden listing anew")
    options = parser.parse_args()
    with Mock() as mock, tempfile.TemporaryDirectory() as folder:
        os.environ |= {"HF_ENDPOINT": mock.endpoint, "HF_HOME": f"{folder}/home"}
        checks = Checks(mock, Path(folder))
        checks.python_alone(options.write)
        checks.python_then_node()
        checks.node_then_python()
        checks.data_sets()
        checks.both_at_once()
        checks.lock_is_shared()
        checks.without_links()
        checks.errors()
    print("all is well")


class Mock:
    """The mock hub of the Node tests, in its own process."""

    def __enter__(self):
        serve = ROOT / "dist/__test__/hub/serve.js"
        self.process = subprocess.Popen(
            ["node", serve], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.endpoint = json.loads(self.process.stdout.readline())["endpoint"]
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(timeout=20)

    def seen(self):
        """The requests since the last call."""
        self.process.stdin.write("seen\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


class Checks:
    def __init__(self, mock, folder):
        self.mock = mock
        self.folder = folder

    def python_alone(self, write):
        cache = self.folder / "python"
        download(cache, "main")
        download(cache, "refs/pr/1")
        found = listing(cache)
        if write:
            GOLDEN.parent.mkdir(parents=True, exist_ok=True)
            GOLDEN.write_text(found)
        assert found == GOLDEN.read_text(), f"the golden listing is another:\n{found}"
        print("the real client downloads from the mock, and leaves what the golden listing says")

    def python_then_node(self):
        cache = self.folder / "python-node"
        download(cache, "main")
        before = listing(cache)
        self.mock.seen()
        model = pull(cache)
        assert model["fetched"] == [], model
        assert contents(self.mock.seen()) == []
        assert listing(cache) == before
        offline = pull(cache, "--offline")
        assert offline["source"] == "cache" and offline["path"] == model["path"], offline
        print("Node uses what Python has downloaded, with a hub and without")

    def node_then_python(self):
        cache = self.folder / "node-python"
        model = pull(cache)
        assert sorted(model["fetched"]) == FILES, model
        self.mock.seen()
        path = download(cache, "main")
        assert path == model["path"], (path, model["path"])
        assert contents(self.mock.seen()) == []
        assert download(cache, "main", offline=True) == model["path"]
        print("Python uses what Node has downloaded, with a hub and without")

        import huggingface_hub

        report = huggingface_hub.scan_cache_dir(cache)
        assert report.warnings == [], report.warnings
        [repo] = report.repos
        [revision] = repo.revisions
        assert (repo.repo_id, revision.commit_hash, set(revision.refs)) == (ID, COMMIT, {"main"})
        assert sorted(file.file_name for file in revision.files) == FILES
        print("Python's scan of a cache that Node has filled finds nothing wrong")

    def data_sets(self):
        import huggingface_hub

        name = "main/rows.parquet"
        asked = {"repo_type": "dataset", "cache_dir": self.folder / "data-python"}
        theirs = Path(huggingface_hub.hf_hub_download(ID, name, **asked))
        ours = self.folder / "data-node"
        for cache in (asked["cache_dir"], ours):
            command = [arg.replace(ID, f"datasets/{ID}") for arg in node_command(cache)]
            found = json.loads(subprocess.run([*command, "--file", name], capture_output=True, check=True).stdout)
            assert found["fetched"] == ([] if cache != ours else [name]), found
        assert listing(asked["cache_dir"]) == listing(ours)
        again = huggingface_hub.hf_hub_download(ID, name, repo_type="dataset", cache_dir=ours, local_files_only=True)
        assert Path(again).read_bytes() == theirs.read_bytes()
        print("a file of a data set lies where Python has it, and each uses the other's")

    def both_at_once(self):
        for turn in range(5):
            cache = self.folder / f"both-{turn}"
            self.mock.seen()
            children = [
                subprocess.Popen(node_command(cache), stdout=subprocess.PIPE, text=True),
                subprocess.Popen(python_command(cache), stdout=subprocess.PIPE, text=True),
                subprocess.Popen(node_command(cache), stdout=subprocess.PIPE, text=True),
            ]
            for child in children:
                child.communicate(timeout=120)
                assert child.returncode == 0, child.args
            names = listing(cache).splitlines()
            assert not any(".incomplete" in line for line in names), names
            weights = [seen for seen in contents(self.mock.seen()) if "/blobs/" in seen["path"]]
            assert len(weights) == 1, weights
            for name in FILES:
                assert (cache / folder_name() / "snapshots" / COMMIT / name).exists()
        print("two of Node and one of Python at once all end well, and fetch the weights once")

    def lock_is_shared(self):
        import filelock

        cache = self.folder / "locked"
        download(cache, "main", allow=["config.json"])
        etag = next(line for line in listing(self.folder / "python").splitlines() if "model.safetensors ->" in line)
        lock = cache / ".locks" / folder_name() / f"{etag.rsplit('/', 1)[1]}.lock"
        lock.parent.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(lock):
            child = subprocess.Popen(node_command(cache), stdout=subprocess.PIPE, text=True)
            try:
                child.wait(timeout=5)
                raise AssertionError("Node did not wait for Python's lock")
            except subprocess.TimeoutExpired:
                pass
        child.communicate(timeout=60)
        assert child.returncode == 0
        print("Node waits for a lock that Python holds")

    def without_links(self):
        os.environ["HF_HUB_DISABLE_SYMLINKS"] = "1"
        caches = [self.folder / name for name in ("copied-python", "copied-node")]
        subprocess.run(python_command(caches[0]), check=True, capture_output=True)
        pull(caches[1])
        assert listing(caches[0]) == listing(caches[1]), [listing(cache) for cache in caches]
        self.mock.seen()
        assert pull(caches[0])["fetched"] == []
        subprocess.run(python_command(caches[1]), check=True, capture_output=True)
        assert contents(self.mock.seen()) == []
        del os.environ["HF_HUB_DISABLE_SYMLINKS"]
        print("without symbolic links the two caches are the same too")

    def errors(self):
        import huggingface_hub.errors as errors

        cache = self.folder / "errors"
        for expected, arguments in [
            (errors.RevisionNotFoundError, {"revision": "nowhere"}),
            (errors.RepositoryNotFoundError, {"repo_id": "allenai/nothing"}),
        ]:
            try:
                download(cache, **{"revision": "main", **arguments})
                raise AssertionError(f"no {expected.__name__}")
            except expected:
                pass
        from huggingface_hub import hf_hub_download

        try:
            hf_hub_download(ID, "nothing.json", cache_dir=cache)
            raise AssertionError("no EntryNotFoundError")
        except errors.EntryNotFoundError:
            pass
        print("the real client understands the mock's refusals")


def download(cache, revision, offline=False, repo_id=ID, allow=None):
    from huggingface_hub import snapshot_download

    return snapshot_download(
        repo_id, revision=revision, cache_dir=cache, allow_patterns=allow or FILES, local_files_only=offline
    )


def pull(cache, *flags):
    done = subprocess.run(node_command(cache, *flags), check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def node_command(cache, *flags):
    return ["node", str(ROOT / "dist/cli/main.js"), "pull", ID, "--json", "--cache-dir", str(cache), *flags]


def python_command(cache):
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import check; check.download({str(cache)!r}, 'main')"
    return [sys.executable, "-c", code]


def contents(seen):
    """The requests that content came through."""
    return [one for one in seen if one["method"] == "GET" and one["sent"] > 0]


def folder_name():
    return "models--" + ID.replace("/", "--")


def listing(folder):
    """All that is in a folder, links with where they lead; without what only one of the two notes there."""
    lines = []
    for path in sorted(Path(folder).rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            lines.append(f"{name} -> {os.readlink(path)}")
        elif path.is_file() and "/trees/" not in name and "/.no_exist/" not in name:
            lines.append(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()[:16]}")
    return "\n".join(sorted(lines)) + "\n"


if __name__ == "__main__":
    main()
