//! Tokens per second of optimizer steps, beside `scripts/bench/train_torch.py`.
//!
//! ```sh
//! RAYON_NUM_THREADS=2 cargo run --release --example bench_train -- [--steps N] [--instances N] \
//!     [--micro N] [--backend fused|autograd]
//! ```
//!
//! The model is the one of the issue "A trained default model": hidden 256, 5 layers, intermediate
//! 688, vocabulary 4096, sequences of 512. Prints one line a step and the best and median rates.

use std::collections::HashMap;
use std::time::Instant;

use olmo_core::backend::candle::AutogradOps;
use olmo_core::backend::fused::FusedOps;
use olmo_core::config::ModelConfig;
use olmo_core::ops::LossScale;
use olmo_core::train::init::initial_weights;
use olmo_core::train::network::{Examples, Learner, Network};
use olmo_core::train::optimizer::{AdamW, OptimizerConfig};
use olmo_core::weights::Checkpoint;
use safetensors::tensor::{Dtype, TensorView};

const SEQUENCE: usize = 512;

const CONFIG: &str = r#"{"model_type": "olmo2", "hidden_act": "silu", "hidden_size": 256,
    "intermediate_size": 688, "num_attention_heads": 4, "num_hidden_layers": 5, "vocab_size": 4096,
    "max_position_embeddings": 512, "rope_theta": 500000, "rms_norm_eps": 1e-6}"#;

fn main() {
    // As the trainer does: work that starts on a thread of the pool is not handed over first.
    let threads = rayon::current_num_threads();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
    pool.install(run);
}

fn run() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let options: HashMap<&str, &str> =
        arguments.chunks_exact(2).map(|pair| (pair[0].as_str(), pair[1].as_str())).collect();
    let number = |name: &str, default: usize| -> usize {
        options.get(name).map_or(default, |text| text.parse().expect("a whole number"))
    };
    let (steps, instances) = (number("--steps", 5), number("--instances", 4));
    let micro = number("--micro", 1);

    let config = ModelConfig::from_json(CONFIG, "config.json".as_ref()).expect("config");
    let mut learner = learner(&config, options.get("--backend").copied());

    let tokens: Vec<u32> =
        (0..instances * SEQUENCE).map(|i| (i as u32).wrapping_mul(2_654_435_761) >> 20).collect();
    let rows = (instances * (SEQUENCE - 1)) as f32;
    let scale = LossScale { cross_entropy: 1.0 / rows, z_loss: 1e-5 / rows };
    let mut optimizer = None;
    let mut rates = Vec::new();
    println!("{} parameters, {} threads", config.num_params(), rayon::current_num_threads());
    for step in 0..steps + 1 {
        let start = Instant::now();
        let mut loss = 0.0;
        for batch in tokens.chunks(micro * SEQUENCE) {
            let mut examples = Examples::default();
            for instance in batch.chunks(SEQUENCE) {
                examples.push(instance, &[SEQUENCE]);
            }
            loss += learner.learn(&examples, scale).expect("learns").cross_entropy;
        }
        let learned = start.elapsed().as_secs_f64();
        learner
            .parameters(&mut |parameters| {
                optimizer
                    .get_or_insert_with(|| AdamW::new(OptimizerConfig::default(), parameters))
                    .update(parameters, 1e-3);
            })
            .expect("updates");
        let seconds = start.elapsed().as_secs_f64();
        let rate = tokens.len() as f64 / seconds;
        let update = (seconds - learned) * 1e3;
        println!("loss {:.4}  {rate:.0} tokens/s  (update {update:.1} ms)", loss / rows as f64);
        // The first step allocates.
        if step > 0 {
            rates.push(rate);
        }
    }
    rates.sort_by(f64::total_cmp);
    println!("best {:.0}, median {:.0} tokens/s", rates[rates.len() - 1], rates[rates.len() / 2]);
}

/// A model of initial weights that learns on a backend.
fn learner(config: &ModelConfig, backend: Option<&str>) -> Box<dyn Learner> {
    let folder = std::env::temp_dir().join(format!("olmo2-bench-train-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("temporary folder");
    let weights = initial_weights(config, 0);
    let views = weights.iter().map(|(name, shape, values)| {
        // SAFETY: f32 has no padding and any bytes may be read.
        let bytes =
            unsafe { std::slice::from_raw_parts(values.as_ptr().cast::<u8>(), values.len() * 4) };
        (name, TensorView::new(Dtype::F32, shape.clone(), bytes).expect("view"))
    });
    let file = folder.join("model.safetensors");
    safetensors::serialize_to_file(views, None, &file).expect("weights");
    let checkpoint = Checkpoint::open(&folder).expect("checkpoint");

    let learner: Box<dyn Learner> = match backend {
        None | Some("fused") => {
            Box::new(Network::load(FusedOps::new(), config, &checkpoint).expect("loads"))
        }
        Some("autograd") => {
            let ops = AutogradOps::new(candle_core::Device::Cpu);
            Box::new(Network::load(ops, config, &checkpoint).expect("loads"))
        }
        Some(other) => panic!("no backend {other}"),
    };
    std::fs::remove_dir_all(&folder).expect("temporary folder");
    learner
}
