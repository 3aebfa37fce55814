"""Fine-tuning with OLMo-core's public classes, as `olmo2 finetune launch` starts it with torchrun.

    torchrun --nproc-per-node N olmo_core_train.py launch.json

Reads everything from the JSON file, which stands beside the run. Goes on from the newest checkpoint of the run
if it has one, else from `start`, whose weights were written there before. Prints a line of JSON for every
step, begun with a mark, among the log's lines.
"""

import json
import os
import sys
import time
from dataclasses import dataclass

import torch
from olmo_core.config import DType
from olmo_core.data import NumpyDataLoaderConfig, NumpyPackedFSLDatasetConfig, TokenizerConfig
from olmo_core.data.types import LongDocStrategy, NumpyDatasetDType
from olmo_core.distributed.parallel import DataParallelType
from olmo_core.distributed.utils import get_rank
from olmo_core.nn.attention import AttentionBackendName
from olmo_core.nn.feed_forward import FeedForwardConfig
from olmo_core.nn.transformer import TransformerBlockType, TransformerConfig
from olmo_core.optim import AdamWConfig, LinearWithWarmup
from olmo_core.train import Duration, TrainerConfig, prepare_training_environment, teardown_training_environment
from olmo_core.train.callbacks import Callback, CheckpointerCallback, ConfigSaverCallback
from olmo_core.train.checkpoint import CheckpointerConfig
from olmo_core.train.common import LoadStrategy
from olmo_core.train.train_module import TransformerDataParallelConfig, TransformerTrainModuleConfig
from olmo_core.utils import seed_all

MARK = "@olmo2 "


@dataclass
class Teller(Callback):
    """Says what happened in a step, for the program that started this one."""

    tokens_of_step: int = 0
    began: float = 0.0
    seconds: float = 0.0

    def say(self, event):
        if get_rank() == 0:
            # All at once: other threads and processes write to the same pipe.
            os.write(1, (MARK + json.dumps(event) + "\n").encode())

    def pre_train(self):
        self.say({"kind": "start", "step": self.step, "steps": self.trainer.max_steps})

    def pre_step(self, batch):
        self.began = time.monotonic()

    def post_step(self):
        self.seconds = time.monotonic() - self.began

    def log_metrics(self, step, metrics):
        if "train/CE loss" not in metrics:
            return
        self.say({
            "kind": "step",
            "step": step,
            "steps": self.trainer.max_steps,
            "tokens": step * self.tokens_of_step,
            "loss": metrics["train/CE loss"],
            "z_loss": metrics.get("train/Z loss", 0.0),
            "learning_rate": metrics.get("optim/LR (group 0)", 0.0),
            "grad_norm": metrics.get("optim/total grad norm", 0.0),
            "tokens_per_second": self.tokens_of_step / max(self.seconds, 1e-9),
        })

    def post_checkpoint_saved(self, path):
        self.say({"kind": "checkpoint", "step": self.step, "path": str(path)})


def model_config(shape, backend):
    """The model that a checkpoint's config.json describes."""
    heads = shape["num_attention_heads"]
    kv_heads = shape["num_key_value_heads"]
    return TransformerConfig.llama_like(
        d_model=shape["hidden_size"],
        vocab_size=shape["vocab_size"],
        n_layers=shape["num_hidden_layers"],
        n_heads=heads,
        n_kv_heads=None if kv_heads == heads else kv_heads,
        head_dim=shape["head_dim"],
        feed_forward=FeedForwardConfig(hidden_size=shape["intermediate_size"], bias=False),
        rope_theta=shape["rope_theta"],
        layer_norm_eps=shape["rms_norm_eps"],
        qk_norm=True,
        block_name=TransformerBlockType.reordered_norm,
        attn_backend=backend,
        tie_word_embeddings=shape["tie_word_embeddings"],
    )


def main(path):
    with open(path, encoding="utf-8") as file:
        run = json.load(file)
    cuda = run["device"] == "cuda"
    prepare_training_environment(
        seed=run["seed"], backend="cpu:gloo,cuda:nccl" if cuda else "gloo", shared_filesystem=True)
    seed_all(run["seed"])
    device = torch.device("cuda" if cuda else "cpu")
    flash = cuda and run["flash_attention"]
    model = model_config(run["model"], AttentionBackendName.flash_2 if flash else AttentionBackendName.torch)
    tokenizer = TokenizerConfig(
        vocab_size=run["model"]["vocab_size"],
        eos_token_id=run["model"]["eos_token_id"],
        pad_token_id=run["model"]["pad_token_id"],
    )
    dataset = NumpyPackedFSLDatasetConfig(
        tokenizer=tokenizer,
        paths=run["token_paths"],
        label_mask_paths=run["mask_paths"],
        dtype=NumpyDatasetDType(run["dtype"]),
        sequence_length=run["sequence_length"],
        long_doc_strategy=LongDocStrategy.truncate,
        # Only flash attention can keep documents of a row apart.
        generate_doc_lengths=flash,
        # From the files that say where documents begin: an end-of-text token need not close each.
        use_array_if_local=False,
        work_dir=run["work_dir"],
    )
    loader = NumpyDataLoaderConfig(
        global_batch_size=run["batch_size"] * run["sequence_length"], seed=run["seed"], num_workers=0)
    module = TransformerTrainModuleConfig(
        rank_microbatch_size=run["micro_batch_size"] * run["sequence_length"],
        max_sequence_length=run["sequence_length"],
        optim=AdamWConfig(
            lr=run["learning_rate"], weight_decay=run["weight_decay"], betas=(0.9, 0.95), fused=cuda),
        scheduler=LinearWithWarmup(warmup_fraction=run["warmup"], alpha_f=0.0),
        compile_model=False,
        dp_config=TransformerDataParallelConfig(
            name=DataParallelType.fsdp if cuda else DataParallelType.ddp,
            param_dtype=DType.bfloat16 if cuda else None,
            reduce_dtype=DType.float32,
        ),
        max_grad_norm=run["max_grad_norm"],
    )
    duration = Duration.steps(run["steps"]) if run["steps"] else Duration.epochs(run["epochs"])
    trainer = (
        TrainerConfig(
            save_folder=run["save_folder"],
            work_dir=run["work_dir"],
            load_path=run["start"],
            load_strategy=LoadStrategy.always,
            load_trainer_state=None,
            save_overwrite=True,
            metrics_collect_interval=1,
            cancel_check_interval=1,
            max_duration=duration,
            checkpointer=CheckpointerConfig(work_dir=run["work_dir"], save_overwrite=True),
        )
        .with_callback("checkpointer", CheckpointerCallback(
            save_interval=run["checkpoint_interval"], save_async=False, max_checkpoints=run["keep"]))
        .with_callback("config_saver", ConfigSaverCallback())
        .with_callback("teller", Teller(
            tokens_of_step=run["batch_size"] * run["sequence_length"]))
    )
    built = model.build(init_device="cpu")
    train_module = module.build(built, device)
    data = dataset.build()
    trainer = trainer.build(train_module, loader.build(data, dp_process_group=train_module.dp_process_group))
    trainer.callbacks["config_saver"].config = {
        "model": model.as_config_dict(),
        "dataset": {"tokenizer": tokenizer.as_config_dict()},
        "train_module": module.as_config_dict(),
        "olmo2": {"config": run["config"]},
    }
    trainer.fit()
    teardown_training_environment()


if __name__ == "__main__":
    main(sys.argv[1])
