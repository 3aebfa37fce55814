//! Random weights of the published shapes, written quickly: one block of random numbers, over and over.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use half::bf16;
use olmo_core::config::ModelConfig;
use olmo_core::shapes::weight_shapes;
use olmo_core::weights::Checkpoint;
use serde_json::{json, Map, Value};

/// A folder that goes when this does.
pub struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The config of `OLMo-2-0425-1B` or `OLMo-2-1124-7B`, or of a tiny model with as many kinds of kernels.
pub fn config(shape: &str) -> ModelConfig {
    let [hidden, mlp, layers, heads, vocab] = match shape {
        "1B" => [2048, 8192, 16, 16, 100_352],
        "7B" => [4096, 11008, 32, 32, 100_352],
        "tiny" => [256, 512, 2, 4, 1000],
        other => panic!("shape {other} is not 1B, 7B or tiny"),
    };
    let json = json!({
        "model_type": "olmo2", "hidden_act": "silu", "hidden_size": hidden,
        "intermediate_size": mlp, "num_hidden_layers": layers, "num_attention_heads": heads,
        "vocab_size": vocab, "max_position_embeddings": 4096, "rope_theta": 500_000,
        "rms_norm_eps": 1e-6,
    });
    ModelConfig::from_json(&json.to_string(), Path::new("config.json")).expect("a config")
}

/// A checkpoint in bf16 in a temporary folder, `TMPDIR` if that is set.
pub fn write(config: &ModelConfig) -> (Folder, Checkpoint) {
    let path = std::env::temp_dir().join(format!("olmo2-bench-gpu-{}", std::process::id()));
    std::fs::create_dir_all(&path).expect("a temporary folder");
    let folder = Folder(path);
    let shapes = weight_shapes(config);
    let size = |shape: &[usize]| 2 * shape.iter().product::<usize>();
    let (mut header, mut end) = (Map::new(), 0);
    for (name, shape) in &shapes {
        let begin = end;
        end += size(shape);
        let tensor = json!({"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]});
        header.insert(name.clone(), tensor);
    }
    let mut header = Value::Object(header).to_string();
    while !header.len().is_multiple_of(8) {
        header.push(' ');
    }
    let file = File::create(folder.0.join("model.safetensors")).expect("a file");
    let mut file = BufWriter::with_capacity(1 << 20, file);
    file.write_all(&(header.len() as u64).to_le_bytes()).expect("room on the disk");
    file.write_all(header.as_bytes()).expect("room on the disk");
    let pattern = noise(1 << 20);
    let ones = bf16::ONE.to_le_bytes().repeat(1 << 10);
    for (_, shape) in &shapes {
        let block = if shape.len() == 1 { &ones } else { &pattern };
        let mut left = size(shape);
        while left > 0 {
            let part = left.min(block.len());
            file.write_all(&block[..part]).expect("room on the disk");
            left -= part;
        }
    }
    file.flush().expect("room on the disk");
    let checkpoint = Checkpoint::open(&folder.0).expect("a checkpoint");
    (folder, checkpoint)
}

/// Numbers between -0.04 and 0.04, of an odd count so that no two rows are alike: an LCG's high bits (Knuth's MMIX).
fn noise(numbers: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..numbers | 1).flat_map(|_| bf16::from_f32(0.08 * (next() - 0.5)).to_le_bytes()).collect()
}
