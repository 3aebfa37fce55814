"""Holds the command lines in a report of `olmo2 finetune prepare --format open-instruct` to Open Instruct's flags.

    python scripts/golden/check_finetune_flags.py --open-instruct DIR out/report.json

DIR is a checkout of allenai/open-instruct. A flag is a field of one of the classes that a program's parser is made
of; the classes are read and not run, so nothing has to be installed.
"""

import argparse
import ast
import json
import pathlib
import shlex
import sys


def classes(folder: pathlib.Path) -> dict[str, set[str]]:
    """The fields of every class of the package, with those of its bases."""
    found: dict[str, set[str]] = {}
    bases: dict[str, list[str]] = {}
    for path in folder.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                fields = {part.target.id for part in node.body if isinstance(part, ast.AnnAssign)}
                found[f"{path.stem}.{node.name}"] = fields
                names = [ast.unparse(base).split(".")[-1] for base in node.bases]
                bases[f"{path.stem}.{node.name}"] = names
    by_name = {name.split(".")[-1]: name for name in found}
    return {
        name: fields.union(*(found[by_name[base]] for base in bases[name] if base in by_name))
        for name, fields in found.items()
    }


def flags(folder: pathlib.Path, program: str, known: dict[str, set[str]]) -> set[str]:
    """Those of a program: of the classes in its parser's tuple."""
    module = ast.parse((folder / program).read_text(encoding="utf-8"))
    own = program.removesuffix(".py")
    for node in ast.walk(module):
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ArgumentParserPlus"):
            names = [ast.unparse(name) for name in ast.walk(node.args[0]) if isinstance(name, (ast.Name, ast.Attribute))]
            wanted = {name.split(".")[-1] for name in names}
            fields = [known[name] for name in known if name.split(".")[-1] in wanted and is_meant(name, own, names)]
            return set().union(*fields)
    raise SystemExit(f"{program} has no parser of its own")


def is_meant(name: str, own: str, names: list[str]) -> bool:
    """A class of the program, of the module it is named with, or imported into it."""
    module, last = name.split(".")
    given = next(one for one in names if one.split(".")[-1] == last)
    return module == given.split(".")[0] if "." in given else module in (own, "dataset_transformation", "olmo_core_utils")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--open-instruct", required=True)
    parser.add_argument("report")
    given = parser.parse_args()
    folder = pathlib.Path(given.open_instruct) / "open_instruct"
    known = classes(folder)
    commands = json.loads(pathlib.Path(given.report).read_text(encoding="utf-8"))["commands"]
    if len(commands) < 3:
        raise SystemExit("the report has not the command lines of both programs")
    failed = False
    for command in commands:
        words = shlex.split(command)
        at = next(index for index, word in enumerate(words) if word.endswith(".py"))
        there = flags(folder, pathlib.Path(words[at]).name, known)
        used = [word.removeprefix("--") for word in words[at + 1 :] if word.startswith("--")]
        unknown = [flag for flag in used if flag not in there]
        failed |= bool(unknown) or not used
        print(f"{words[at]}: {len(used)} flags, {len(unknown)} unknown {' '.join(unknown)}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
