//! The forward pass against transformers' `Olmo2ForCausalLM` on the golden checkpoints.

mod support;

use olmo_core::backend::candle::CandleOps;
use olmo_core::backend::cpu::CpuOps;
use olmo_core::dtype::DType;
use olmo_core::model::{NoProbe, Probe};
use olmo_core::ops::RopeTable;
use support::{device, max_difference, Bench, Reference};

const F32_MODELS: [&str; 3] = ["tiny-mha-f32", "tiny-odd-f32", "tiny-sharded-f32"];

/// Absolute, on logits whose spread is about 10: the reference differs from itself by as much
/// between two orders of summation.
const F32_TOLERANCE: f32 = 1e-4;

fn candle(name: &str, dtype: DType) -> Bench {
    Bench::new(name, CandleOps::new(device().candle().expect("the device"), dtype))
}

fn cpu(name: &str, dtype: DType) -> Bench {
    Bench::new(name, CpuOps::new(dtype, Some(2)).expect("a CPU engine"))
}

/// Every check that a backend in f32 must pass.
fn check_f32(open: impl Fn(&str, DType) -> Bench) {
    for name in F32_MODELS.into_iter().chain(["tiny-gqa-bf16"]) {
        let reference = Reference::read(&format!("{name}/reference.safetensors"));
        let mut bench = open(name, DType::F32);
        let lengths = reference.lengths();
        assert_eq!(lengths.last(), Some(&bench.config.max_position_embeddings));
        for n in lengths {
            let ids = reference.ids(&format!("p{n}.ids"));
            let expected = reference.get(&format!("p{n}.logits"));
            let logits = bench.forward(&ids, 0, &mut NoProbe);
            let difference = max_difference(&logits, expected);
            assert!(
                difference <= F32_TOLERANCE,
                "{name}, {n} tokens: logits differ by {difference}"
            );

            for chunk in [1, 5, 32] {
                let difference = max_difference(&bench.forward_chunked(&ids, chunk), expected);
                assert!(
                    difference <= F32_TOLERANCE,
                    "{name}, {n} in chunks of {chunk}: {difference}"
                );
            }
            if n < bench.config.max_position_embeddings {
                let expected = reference.ids(&format!("p{n}.greedy"));
                assert_eq!(
                    bench.greedy(&ids, expected.len()),
                    expected,
                    "{name}, {n} tokens, greedy"
                );
            }
        }
    }
}

/// Keeps all it is told.
#[derive(Default)]
struct Everything {
    hidden: Vec<Vec<f32>>,
    attentions: Vec<Vec<f32>>,
}

impl Probe for Everything {
    fn wants_hidden(&self, _index: usize) -> bool {
        true
    }

    fn hidden(&mut self, index: usize, values: &[f32]) {
        assert_eq!(index, self.hidden.len());
        self.hidden.push(values.to_vec());
    }

    fn wants_attention(&self, _layer: usize) -> bool {
        true
    }

    fn attention(&mut self, layer: usize, probabilities: &[f32]) {
        assert_eq!(layer, self.attentions.len());
        self.attentions.push(probabilities.to_vec());
    }
}

fn check_inside(open: impl Fn(&str, DType) -> Bench) {
    for name in F32_MODELS {
        let reference = Reference::read(&format!("{name}/reference.safetensors"));
        let mut bench = open(name, DType::F32);
        for n in reference.lengths() {
            let mut seen = Everything::default();
            let logits = bench.forward(&reference.ids(&format!("p{n}.ids")), 0, &mut seen);
            let difference = max_difference(&logits, reference.get(&format!("p{n}.logits")));
            assert!(difference <= F32_TOLERANCE, "{name}, {n} tokens, watched: {difference}");
            let difference =
                max_difference(&seen.hidden.concat(), reference.get(&format!("p{n}.hidden")));
            assert!(
                difference <= F32_TOLERANCE,
                "{name}, {n} tokens: hidden states differ by {difference}"
            );
            if n == 33 {
                let difference =
                    max_difference(&seen.attentions.concat(), reference.get("p33.attentions"));
                assert!(difference <= 1e-5, "{name}: attentions differ by {difference}");
            }
        }
    }
}

/// In half precision the reference itself is off from f32, by its spread. A backend may be off by
/// `allowed` spreads.
fn check_half(open: impl Fn(&str, DType) -> Bench, allowed: f32) {
    let cases = [
        ("tiny-mha-f32", "p33", DType::BF16, "logits_bf16"),
        ("tiny-mha-f32", "p33", DType::F16, "logits_f16"),
        ("tiny-gqa-bf16", "p33", DType::BF16, "logits_bf16"),
        ("tiny-gqa-bf16", "p128", DType::BF16, "logits_bf16"),
    ];
    for (name, prompt, dtype, half) in cases {
        let reference = Reference::read(&format!("{name}/reference.safetensors"));
        let exact = reference.get(&format!("{prompt}.logits"));
        let spread = max_difference(exact, reference.get(&format!("{prompt}.{half}")));
        let ids = reference.ids(&format!("{prompt}.ids"));
        let difference = max_difference(&open(name, dtype).forward(&ids, 0, &mut NoProbe), exact);
        assert!(
            difference <= allowed * spread,
            "{name} {}: off by {difference}, torch by {spread}",
            dtype.name()
        );
    }
}

#[test]
fn candle_equals_the_reference() {
    check_f32(candle);
}

#[test]
fn candle_shows_hidden_states_and_attentions() {
    check_inside(candle);
}

#[test]
fn candle_in_half_precision_is_as_close_as_torch() {
    // Activations are rounded as often as in torch, but not always the same way.
    check_half(candle, 1.5);
}

#[test]
fn cpu_equals_the_reference() {
    check_f32(cpu);
}

#[test]
fn cpu_shows_hidden_states_and_attentions() {
    check_inside(cpu);
}

#[test]
fn cpu_in_half_precision_is_as_close_as_torch() {
    check_half(cpu, 1.0);
}

#[test]
fn rope_angles_are_the_reference_s() {
    let json = r#"{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": 4096,
        "intermediate_size": 64, "num_attention_heads": 32, "num_hidden_layers": 1, "vocab_size": 64,
        "max_position_embeddings": 4096, "rope_theta": 500000, "rms_norm_eps": 1e-6}"#;
    let config = olmo_core::config::ModelConfig::from_json(json, "config.json".as_ref()).unwrap();
    let table = RopeTable::new(&config);
    let reference = Reference::read("rope.safetensors");
    for (row, position) in reference.ids("positions").into_iter().enumerate() {
        let (cos, sin) = table.at(position as usize);
        let expected = |name| &reference.get(name)[row * 128..][..64];
        assert!(max_difference(cos, expected("cos")) <= 1e-6, "cos at {position}");
        assert!(max_difference(sin, expected("sin")) <= 1e-6, "sin at {position}");
    }
}

/// A config may name a context far beyond what any text will have.
#[test]
fn a_huge_context_costs_no_angles_before_they_are_needed() {
    let json = r#"{"model_type": "olmo2", "hidden_size": 64, "intermediate_size": 64,
        "num_attention_heads": 2, "num_hidden_layers": 1, "vocab_size": 64, "rope_theta": 500000,
        "max_position_embeddings": 16777216, "eos_token_id": 1}"#;
    let mut config =
        olmo_core::config::ModelConfig::from_json(json, "config.json".as_ref()).unwrap();
    let huge = RopeTable::new(&config);
    config.max_position_embeddings = 4096;
    let small = RopeTable::new(&config);
    assert_eq!(huge.positions(), 1 << 24);
    for position in [0, 255, 256, 4095] {
        assert_eq!(huge.at(position), small.at(position), "{position}");
    }
    let (cos, sin) = huge.at((1 << 24) - 1);
    assert!(cos.iter().zip(sin).all(|(cos, sin)| (cos * cos + sin * sin - 1.0).abs() < 1e-5));
}
