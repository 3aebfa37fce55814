//! How Open Instruct's two trainers are called with the data.
//!
//! Their flags have different names. `scripts/golden/check_finetune_flags.py` holds these against the sources
//! at e6c3044.

use std::path::Path;

use crate::options::Options;

/// What a machine without its institute's services has to say to `finetune.py`.
const ALONE: &str = "--push_to_hub False --try_launch_beaker_eval_jobs False";

/// `finetune.py` by accelerate; `olmo_core_finetune.py` once to make its cache, and then by torchrun.
pub fn of(options: &Options, file: &str) -> Vec<String> {
    let data = quoted(&Path::new(&options.out).join(file).to_string_lossy());
    let model = quoted(&options.tokenizer_name);
    let template = options.chat_template.as_ref();
    let template =
        template.map_or(String::new(), |name| format!(" --chat_template_name {}", quoted(name)));
    let bos = if options.add_bos { " --add_bos" } else { "" };
    let length = options.max_seq_len.unwrap_or(4096);
    let seed = options.shuffle_seed.unwrap_or(42);
    let legacy = format!(
        "accelerate launch --mixed_precision bf16 --num_processes 8 --use_deepspeed --deepspeed_config_file \
         configs/ds_configs/stage3_no_offloading_accelerate.conf open_instruct/finetune.py \
         --model_name_or_path {model} --tokenizer_name_or_path {model}{template}{bos} \
         --dataset_mixer_list {data} 1.0 --max_seq_length {length} --per_device_train_batch_size 1 \
         --gradient_accumulation_steps 2 --learning_rate 2e-5 --lr_scheduler_type linear --warmup_ratio 0.03 \
         --weight_decay 0.0 --num_train_epochs 2 --seed {seed} --output_dir output {ALONE}"
    );
    let same = format!(
        "open_instruct/olmo_core_finetune.py --model_name_or_path {model} --tokenizer_name_or_path {model}\
         {template}{bos} --mixer_list {data} 1.0 --max_seq_length {length} --seed {seed} \
         --local_cache_dir cache"
    );
    let cache = format!("python {same} --cache_dataset_only");
    let train = format!(
        "torchrun --nproc_per_node=8 {same} --per_device_train_batch_size 1 --gradient_accumulation_steps 2 \
         --learning_rate 8e-5 --warmup_ratio 0.03 --num_epochs 3 --max_grad_norm 1.0 --output_dir output"
    );
    vec![legacy, cache, train]
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-:@+".contains(&byte);
    match !text.is_empty() && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Format;

    #[test]
    fn the_trainers_are_called_by_their_own_flags() {
        let mut options = Options::new(Format::OpenInstruct, "it's", "allenai/OLMo-2-0425-1B");
        options.chat_template = Some("tulu".to_owned());
        options.add_bos = true;
        options.max_seq_len = Some(1024);
        let [legacy, cache, train] = of(&options, "data.jsonl").try_into().unwrap();
        assert!(legacy
            .contains(" --dataset_mixer_list 'it'\\''s/data.jsonl' 1.0 --max_seq_length 1024 "));
        assert!(legacy.contains(" --chat_template_name tulu --add_bos "));
        assert!(cache.starts_with(
            "python open_instruct/olmo_core_finetune.py --model_name_or_path allenai/"
        ));
        assert!(cache.ends_with(" --local_cache_dir cache --cache_dataset_only"));
        assert!(
            train.contains(" --mixer_list 'it'\\''s/data.jsonl' 1.0 ")
                && !train.contains("cache_dataset_only")
        );
    }
}
