"""Holds every command line that this package writes for AllenAI's programs to the flags of their sources.

    npm run build
    python scripts/golden/check_finetune_flags.py --open-instruct DIR --olmo DIR

The folders are checkouts of allenai/open-instruct and of allenai/OLMo. Command lines are those in a report of
`olmo2 finetune prepare --format open-instruct`, and of `olmo2 finetune launch --dry-run` for both. A flag is a field of
one of the classes that a program's parser, or its config, is made of; the classes are read and not run, so nothing
has to be installed.
"""

import argparse
import ast
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "models" / "olmo2-5m"


def olmo2(*arguments) -> dict:
    """What the command says in JSON."""
    program = ["node", ROOT / "dist" / "cli" / "main.js", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(program, check=True, capture_output=True, text=True).stdout)


def command_lines(folder: pathlib.Path, given: argparse.Namespace) -> list[list[str]]:
    """As the package writes them, of a conversation."""
    said = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Yes."}]
    chats = folder / "chats.jsonl"
    chats.write_text(json.dumps({"messages": said}) + "\n")
    prepare = ["finetune", "prepare", chats, "--tokenizer", MODEL]
    bos = ["--chat-template", "tulu", "--add-bos", "--max-seq-len", "64"]
    report = olmo2(*prepare, "--out", folder / "lines", "--format", "open-instruct", *bos)
    olmo2(*prepare, "--out", folder / "rows", "--format", "olmo")
    (folder / "run.yaml").write_text("{}\n")
    launch = ["finetune", "launch", "--model", MODEL, "--out", folder / "run", "--dry-run", "--python", sys.executable]
    theirs = ["--trainer", "open-instruct", "--source", given.open_instruct, "--steps", "3"]
    plans = [
        olmo2(*launch, *theirs, folder / "lines"),
        olmo2(*launch, "--trainer", "olmo", "--source", given.olmo, "--config", folder / "run.yaml", folder / "rows"),
    ]
    return [shlex.split(line) for line in report["commands"]] + [one["argv"] for plan in plans for one in plan["commands"]]


def classes(folder: pathlib.Path) -> dict[str, dict[str, str]]:
    """The fields of every class of a package and their types, with those of its bases."""
    found: dict[str, dict[str, str]] = {}
    bases: dict[str, list[str]] = {}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                name = f"{path.stem}.{node.name}"
                parts = [part for part in node.body if isinstance(part, ast.AnnAssign)]
                found[name] = {part.target.id: ast.unparse(part.annotation) for part in parts}
                bases[name] = [ast.unparse(base).split(".")[-1] for base in node.bases]
    by_name = {name.split(".")[-1]: name for name in found}
    for name, fields in found.items():
        for base in bases[name]:
            found[name] = found.get(by_name.get(base), {}) | fields
    return found


def open_instruct(folder: pathlib.Path, program: str) -> set[str]:
    """The flags of a program: of the classes in its parser's tuple."""
    known = classes(folder)
    module = ast.parse((folder / program).read_text(encoding="utf-8"))
    own = program.removesuffix(".py")
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ArgumentParserPlus"):
            names = [ast.unparse(name) for name in ast.walk(node.args[0]) if isinstance(name, (ast.Name, ast.Attribute))]
            wanted = {name.split(".")[-1] for name in names}
            fields = [known[name] for name in known if name.split(".")[-1] in wanted and is_meant(name, own, names)]
            return {f"--{field}" for one in fields for field in one}
    raise SystemExit(f"{program} has no parser of its own")


def is_meant(name: str, own: str, names: list[str]) -> bool:
    """A class of the program, of the module it is named with, or imported into it."""
    module, last = name.split(".")
    given = next(one for one in names if one.split(".")[-1] == last)
    return module == given.split(".")[0] if "." in given else module in (own, "dataset_transformation", "olmo_core_utils")


def olmo(folder: pathlib.Path) -> set[str]:
    """The keys of a run's config, as flags have them: those of its data with a point between."""
    known = classes(folder)
    run = known["config.TrainConfig"]
    inner = {f"{key}.{field}" for key, kind in run.items() for field in known.get(f"config.{kind}", {})}
    return {f"--{key}" for key in inner | set(run)}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--open-instruct", required=True)
    parser.add_argument("--olmo", required=True)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        lines = command_lines(pathlib.Path(temporary), given)
    if len(lines) != 6:
        raise SystemExit(f"six command lines were expected, and not {len(lines)}")
    failed = False
    for words in lines:
        at = next(index for index, word in enumerate(words) if word.endswith((".py")))
        program = pathlib.Path(words[at])
        is_olmo = program.name == "train.py"
        there = olmo(pathlib.Path(given.olmo, "olmo")) if is_olmo else open_instruct(pathlib.Path(given.open_instruct, "open_instruct"), program.name)
        used = [word.split("=")[0] for word in words[at + 1 :] if word.startswith("--")]
        unknown = [flag for flag in used if flag not in there]
        failed |= bool(unknown) or not used
        print(f"{program.name}: {len(used)} flags, {len(unknown)} unknown {' '.join(unknown)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
