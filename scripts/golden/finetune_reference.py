"""Runs AllenAI's own programs for fine-tuning data on conversations, from checkouts of their sources.

Nothing of theirs is in this repository: the caller names the folders. What their programs import and do not
need here (a cluster's client, a logger) is stood in for.
"""

import enum
import importlib.util
import logging
import os
import pathlib
import sys
import types

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_DATASETS_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("BEAKER_ASSIGNED_CPU_COUNT", "1")


def open_instruct(checkout: str):
    """The two modules that make OLMo-core's data: of datasets, and of files."""
    package = types.ModuleType("open_instruct")
    package.__path__ = [str(pathlib.Path(checkout) / "open_instruct")]
    utils = types.ModuleType("open_instruct.utils")
    utils.hf_whoami = lambda: {"name": "nobody"}
    utils.max_num_processes = lambda: 1
    utils.is_beaker_job = lambda: False
    utils.maybe_update_beaker_description = lambda **_: None
    logs = types.ModuleType("open_instruct.logger_utils")
    logs.setup_logger = lambda name=None, rank=0: logging.getLogger(name)
    package.utils, package.logger_utils = utils, logs
    sys.modules |= {
        "open_instruct": package,
        "open_instruct.utils": utils,
        "open_instruct.logger_utils": logs,
    }
    from open_instruct import dataset_transformation, numpy_dataset_conversion

    return dataset_transformation, numpy_dataset_conversion


def convert(
    modules,
    out: pathlib.Path,
    mixer: list[str],
    tokenizer: str,
    chat_template_name: str | None,
    add_bos: bool = False,
    max_seq_length: int | None = None,
    shuffle_seed: int = 42,
    cache: str = "cache",
) -> None:
    """What scripts/data/convert_sft_data_for_olmocore.py does with its arguments."""
    transformation, conversion = modules
    config = transformation.TokenizerConfig(
        tokenizer_name_or_path=tokenizer, chat_template_name=chat_template_name, add_bos=add_bos
    )
    conversion.convert_hf_to_numpy_sft(
        output_dir=out,
        dataset_mixer_list=mixer,
        dataset_mixer_list_splits=["train"],
        tc=config,
        dataset_transform_fn=["sft_tulu_tokenize_and_truncate_v1", "sft_tulu_filter_v1"],
        transform_fn_args=[{"max_seq_length": max_seq_length}, {}],
        dataset_target_columns=transformation.TOKENIZED_SFT_DATASET_KEYS_WITH_SOURCE,
        max_seq_length=max_seq_length,
        dataset_local_cache_dir=cache,
        dataset_skip_cache=True,
        shuffle_seed=shuffle_seed,
    )


def tulu_rows(checkout: str, conversations, tokenizer_json: str, eos: int, pad: int, seq_len: int):
    """The rows that scripts/prepare_tulu_data.py keeps: ids and labels."""
    # The package's own __init__ imports all of a trainer; the tokenizer needs two names of it.
    sys.modules.pop("olmo", None)
    package = types.ModuleType("olmo")
    package.__path__ = list(importlib.util.find_spec("olmo").submodule_search_locations)
    config = types.SimpleNamespace(ModelConfig=object, TokenizerConfig=object, TrainConfig=object)
    config.TruncationDirection = enum.Enum("TruncationDirection", {"right": "right", "left": "left"})
    util = types.SimpleNamespace(prepare_cli_environment=lambda: None)
    sys.modules |= {"olmo": package, "olmo.config": config, "olmo.util": util}
    path = pathlib.Path(checkout) / "scripts" / "prepare_tulu_data.py"
    spec = importlib.util.spec_from_file_location("prepare_tulu_data", path)
    program = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    tokenizer = program.Tokenizer.from_file(tokenizer_json, eos_token_id=eos, pad_token_id=pad)
    for messages in conversations:
        row = program.preprocess({"messages": messages}, tokenizer, seq_len)
        if program.filter(row):
            yield row["input_ids"], row["label_mask"]
