//! The engine on the kernels for GPUs beside the engine on the CPU, on a driver that computes on the CPU (Debian's
//! mesa-vulkan-drivers). Without one each test says so and passes; `OLMO2_TEST_GPU` names another device.

mod support;

use olmo_core::checkpoint::LoadOptions;
use olmo_core::device::Device;
use olmo_core::engine::{Engine, Event, ForwardOptions};
use olmo_core::sampling::GenerationOptions;
use pollster::block_on;
use support::{golden, ids, json, list, max_difference, text};

fn gpu(test: &str) -> Option<Device> {
    let name = std::env::var("OLMO2_TEST_GPU").unwrap_or_else(|_| "software-gpu".to_owned());
    let device: Device = name.parse().unwrap();
    device.check().map_err(|error| println!("not run: {test}: {error}")).ok().map(|()| device)
}

fn load(model: &str, device: Device, gpu_layers: Option<usize>) -> Engine {
    let options = LoadOptions {
        path: golden(model),
        device,
        gpu_layers,
        threads: Some(2),
        cache_tokens: Some(4 * 128),
        ..LoadOptions::default()
    };
    Engine::load(&options, &mut |_| Ok(())).expect("loads")
}

/// The tokens of each answer.
fn answers(engine: &Engine, prompts: &[Vec<u32>], options: &GenerationOptions) -> Vec<Vec<u32>> {
    let mut answers = vec![Vec::new(); prompts.len() * options.num_return_sequences];
    let generation = engine.generate(prompts.to_vec(), options.clone()).expect("it is taken");
    while let Some(events) = generation.next_blocking() {
        for event in events.expect("it runs") {
            if let Event::Token { index, token, .. } = event {
                answers[index].push(token.id);
            }
        }
    }
    answers
}

fn greedy(max_new_tokens: usize) -> GenerationOptions {
    GenerationOptions { max_new_tokens, ..GenerationOptions::default() }
}

/// Where any CPU multiplies in f32, as a GPU does: beside the others it may round activations.
const EXACT: [&str; 2] = ["gguf/tiny-mha-f32.gguf", "gguf/tiny-mha-f16.gguf"];
const ROUNDED: [&str; 2] = ["gguf/tiny-mha-bf16.gguf", "gguf/tiny-mha-q4_0.gguf"];

fn prompts() -> Vec<Vec<u32>> {
    (1..5).map(|n| (0..17 * n).map(|i| (i * 7 + n) % 490).collect()).collect()
}

#[test]
fn greedy_texts_are_those_of_transformers() {
    let Some(device) = gpu("greedy_texts_are_those_of_transformers") else { return };
    for layers in [None, Some(1)] {
        let engine = load("tiny-mha-f32", device, layers);
        let mut count = 0;
        for case in list(&json("generate.json"), "cases") {
            if text(case, "model") != "tiny-mha-f32" {
                continue;
            }
            let options = GenerationOptions {
                eos_token_ids: case["options"].get("eos_token_id").map(ids).unwrap_or_default(),
                ..support::options(case["options"].as_object().unwrap(), 517)
            };
            let found = answers(&engine, &[ids(&case["prompt_ids"])], &options).remove(0);
            assert_eq!(found, ids(&case["ids"]), "{}", text(case, "name"));
            count += 1;
        }
        assert!(count > 0);
    }
}

/// Of several sequences in one pass.
#[test]
fn greedy_texts_are_those_of_the_cpu() {
    let Some(device) = gpu("greedy_texts_are_those_of_the_cpu") else { return };
    for model in EXACT {
        let cpu = answers(&load(model, Device::Cpu, None), &prompts(), &greedy(40));
        let engine = load(model, device, None);
        assert_eq!(answers(&engine, &prompts(), &greedy(40)), cpu, "{model}");
        let split = load(model, device, Some(1));
        assert_eq!(answers(&split, &prompts(), &greedy(40)), cpu, "{model}, half of its layers");
    }
}

#[test]
fn texts_are_the_same_alone_and_beside_others() {
    let Some(device) = gpu("texts_are_the_same_alone_and_beside_others") else { return };
    for model in ROUNDED {
        let engine = load(model, device, None);
        let together = answers(&engine, &prompts(), &greedy(12));
        let alone = prompts().into_iter().map(|prompt| answers(&engine, &[prompt], &greedy(12)));
        assert_eq!(alone.flatten().collect::<Vec<_>>(), together, "{model}");
    }
}

#[test]
fn logits_are_those_of_the_cpu() {
    let Some(device) = gpu("logits_are_those_of_the_cpu") else { return };
    for model in EXACT {
        let logits = |device| {
            let options = ForwardOptions { logits_from: 0, ..ForwardOptions::default() };
            let engine = load(model, device, None);
            let output = block_on(engine.forward(prompts().remove(3), options)).expect("it runs");
            output.logits
        };
        let difference = max_difference(&logits(device), &logits(Device::Cpu));
        assert!(difference < 1e-3, "{model}: {difference}");
    }
}

#[test]
fn a_seed_decides_the_text() {
    let Some(device) = gpu("a_seed_decides_the_text") else { return };
    let engine = load("tiny-mha-f32", device, None);
    let sampled = |seed| {
        let options = GenerationOptions {
            do_sample: true,
            temperature: 1.5,
            seed: Some(seed),
            num_return_sequences: 3,
            ..greedy(20)
        };
        answers(&engine, &[vec![5, 6, 7]], &options)
    };
    let first = sampled(7);
    assert_ne!(first[0], first[1]);
    assert_eq!(first, sampled(7));
    assert_ne!(first, sampled(8));
}

#[test]
fn a_model_says_where_it_runs() {
    let Some(device) = gpu("a_model_says_where_it_runs") else { return };
    let whole = load("tiny-mha-f32", device, None);
    assert_eq!(
        (whole.info().device, whole.info().gpu_layers, whole.info().threads),
        (device, 2, 0)
    );
    assert!(whole.info().adapter.is_some());
    let half = load("tiny-mha-f32", device, Some(1));
    assert_eq!((half.info().gpu_layers, half.info().threads), (1, 2));
    let lines = &half.info().warnings;
    assert!(lines[0].starts_with("1 of 2 layers run on ") && lines.len() == 1, "{lines:?}");
    let cpu = load("tiny-mha-f32", Device::Cpu, None);
    assert_eq!((cpu.info().gpu_layers, &cpu.info().adapter), (0, &None));
    let more = load("tiny-mha-f32", device, Some(99));
    assert_eq!(more.info().gpu_layers, 2);
}

#[test]
fn layers_for_a_gpu_are_an_error_where_there_is_none() {
    let error = |device, gpu_layers| {
        let path = golden("tiny-mha-f32");
        let options = LoadOptions { path, device, gpu_layers, ..LoadOptions::default() };
        Engine::load(&options, &mut |_| Ok(())).err().expect("refused").to_string()
    };
    let text = error(Device::Cpu, Some(1));
    assert_eq!(
        text,
        "option `gpu_layers` is 1, but device cpu runs all layers or none; use device gpu"
    );
    let text = error(Device::Auto, Some(0));
    assert_eq!(
        text,
        "option `gpu_layers` is 0, but it must be 1 at least; for none, use device cpu"
    );
}

/// What one backend has kept is of no use to another.
#[test]
fn a_cache_s_file_is_for_the_same_split() {
    let Some(device) = gpu("a_cache_s_file_is_for_the_same_split") else { return };
    let dir = support::TempDir::new();
    let file = dir.path().join("cache");
    let halves = load("tiny-mha-f32", device, Some(1));
    answers(&halves, &[(0..70).collect()], &greedy(2));
    halves.save_cache(&file).expect("it is written");
    let again = load("tiny-mha-f32", device, Some(1));
    assert!(again.load_cache(&file).expect("it is read").tokens >= 64);
    for other in [load("tiny-mha-f32", device, None), load("tiny-mha-f32", Device::Cpu, None)] {
        assert_eq!(other.load_cache(&file).err().map(|error| error.code()), Some("INVALID_FILE"));
    }
}
