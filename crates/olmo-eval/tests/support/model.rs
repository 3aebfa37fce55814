//! Models that are made for a test.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{json, Value};

use super::Source;

/// A folder that goes with its value.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("olmo2-eval-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a folder");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        std::fs::write(self.0.join(name), content).expect(name);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn copy(of: &Path, change: impl Fn(&str, Vec<u8>) -> Vec<u8>) -> Folder {
    let folder = Folder::new();
    for name in ["config.json", "tokenizer.json", "model.safetensors"] {
        folder.write(name, change(name, std::fs::read(of.join(name)).expect(name)));
    }
    folder
}

/// The same model with another context.
pub fn with_context(of: &Path, context: usize) -> Folder {
    copy(of, |name, content| {
        if name != "config.json" {
            return content;
        }
        let mut config: Value = serde_json::from_slice(&content).expect("a config");
        config["max_position_embeddings"] = context.into();
        config.to_string().into_bytes()
    })
}

/// The same model with weights at its end that are not numbers.
pub fn broken(of: &Path) -> Folder {
    copy(of, |name, mut content| {
        if name == "model.safetensors" {
            let end = content.len();
            content[end - 4..].copy_from_slice(&f32::NAN.to_le_bytes());
            let middle = end / 2 / 4 * 4;
            content[middle..middle + 64].iter_mut().for_each(|byte| *byte = 0xff);
        }
        content
    })
}

const VOCAB: usize = 100_352;

/// What differs between the models of `make_eval_likelihoods.py`, by their seeds.
struct Shape {
    hidden: usize,
    intermediate: usize,
    layers: usize,
    heads: usize,
    kv_heads: usize,
    rope_theta: f64,
    eps: f64,
    tied: bool,
}

const SHAPES: [Shape; 2] = [
    Shape {
        hidden: 32,
        intermediate: 64,
        layers: 2,
        heads: 4,
        kv_heads: 2,
        rope_theta: 500_000.0,
        eps: 1e-6,
        tied: false,
    },
    Shape {
        hidden: 48,
        intermediate: 80,
        layers: 3,
        heads: 3,
        kv_heads: 3,
        rope_theta: 10_000.0,
        eps: 1e-5,
        tied: true,
    },
];

/// The seeds of the models there are.
pub fn seeds() -> std::ops::Range<usize> {
    0..SHAPES.len()
}

/// A tiny random OLMo 2 of `make_eval_likelihoods.py`, with dolma2's vocabulary.
pub fn dolma2(source: &Source, seed: usize) -> Folder {
    let folder = Folder::new();
    let shape = &SHAPES[seed];
    let config = json!({
        "architectures": ["Olmo2ForCausalLM"], "model_type": "olmo2", "vocab_size": VOCAB,
        "hidden_size": shape.hidden, "intermediate_size": shape.intermediate,
        "num_hidden_layers": shape.layers, "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads, "max_position_embeddings": 4096,
        "rope_theta": shape.rope_theta, "rms_norm_eps": shape.eps,
        "tie_word_embeddings": shape.tied, "hidden_act": "silu", "attention_bias": false,
        "pad_token_id": 100_277, "eos_token_id": 100_257, "torch_dtype": "float32",
    });
    folder.write("config.json", config.to_string());
    folder.write("tokenizer.json", source.tokenizer_json());
    folder.write("model.safetensors", safetensors(shape, seed as u32));
    folder
}

fn safetensors(shape: &Shape, seed: u32) -> Vec<u8> {
    let (mut head, mut data) = (BTreeMap::new(), Vec::new());
    for (name, shape) in tensors(shape) {
        let start = data.len();
        data.extend(weight(&name, seed, shape.iter().product()).flat_map(f32::to_le_bytes));
        let entry = json!({ "dtype": "F32", "shape": shape, "data_offsets": [start, data.len()] });
        head.insert(name, entry);
    }
    let head = serde_json::to_vec(&head).expect("a head");
    [&(head.len() as u64).to_le_bytes()[..], &head, &data].concat()
}

fn tensors(shape: &Shape) -> Vec<(String, Vec<usize>)> {
    let (hidden, intermediate) = (shape.hidden, shape.intermediate);
    let mut tensors = vec![
        ("model.embed_tokens.weight".to_owned(), vec![VOCAB, hidden]),
        ("model.norm.weight".to_owned(), vec![hidden]),
    ];
    if !shape.tied {
        tensors.push(("lm_head.weight".to_owned(), vec![VOCAB, hidden]));
    }
    let kv = hidden / shape.heads * shape.kv_heads;
    for layer in 0..shape.layers {
        let mut add = |name: &str, shape: &[usize]| {
            tensors.push((format!("model.layers.{layer}.{name}.weight"), shape.to_vec()));
        };
        add("self_attn.q_proj", &[hidden, hidden]);
        add("self_attn.k_proj", &[kv, hidden]);
        add("self_attn.v_proj", &[kv, hidden]);
        add("self_attn.o_proj", &[hidden, hidden]);
        add("self_attn.q_norm", &[hidden]);
        add("self_attn.k_norm", &[kv]);
        add("mlp.gate_proj", &[intermediate, hidden]);
        add("mlp.up_proj", &[intermediate, hidden]);
        add("mlp.down_proj", &[hidden, intermediate]);
        add("post_attention_layernorm", &[hidden]);
        add("post_feedforward_layernorm", &[hidden]);
    }
    tensors
}

/// SplitMix64 from a state that seed and name give, as numbers between -1 and 1 times a scale; of norms, around 1.
fn weight(name: &str, seed: u32, count: usize) -> impl Iterator<Item = f32> {
    let state = (name.bytes())
        .fold(seed, |state, byte| state.wrapping_mul(31).wrapping_add(u32::from(byte)));
    let (base, scale) = if name.contains("norm") { (1.0, 0.25) } else { (0.0, 0.5) };
    (1..=count as u64).map(move |number| {
        let z = number.wrapping_add(u64::from(state) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        let unit = ((z ^ (z >> 31)) >> 40) as f32 / (1 << 23) as f32 - 1.0;
        base + unit * scale
    })
}
