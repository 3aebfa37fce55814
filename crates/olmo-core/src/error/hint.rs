//! What to do when memory is short.

use std::fmt;

use super::Message;

/// An amount of memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    Bytes(u64),
    /// Of the cache of keys and values.
    Tokens(u64),
}

impl Amount {
    /// The memory of so many f32 numbers.
    pub(crate) fn of_f32(numbers: usize) -> Amount {
        Amount::Bytes(numbers.saturating_mul(size_of::<f32>()) as u64)
    }

    pub fn unit(self) -> &'static str {
        match self {
            Amount::Bytes(_) => "bytes",
            Amount::Tokens(_) => "tokens",
        }
    }

    pub fn number(self) -> u64 {
        match self {
            Amount::Bytes(n) | Amount::Tokens(n) => n,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::Bytes(bytes) => f.write_str(&human_bytes(*bytes)),
            Amount::Tokens(tokens) => write!(f, "{tokens} tokens"),
        }
    }
}

/// What would take less memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hint {
    /// A cache of so many tokens fits.
    SmallerCache { fits: u64 },
    /// Weights in one of these types are smaller, and none of them if there is none.
    SmallerWeights { dtypes: &'static [&'static str] },
    /// So many layers fit on the GPU.
    FewerGpuLayers { fits: usize },
    /// The type of the file, in which the weights are not converted.
    StoredDType(&'static str),
    /// The cache that the model was loaded with is too small.
    LargerCache,
    /// The same, and fewer tokens could be asked for.
    FewerNewTokens,
    /// Fewer or shorter sequences in work at a time.
    FewerSequences,
    /// A shorter text, or less said of it.
    ShorterText,
    /// The logits of fewer rows.
    FewerRows,
    /// The files could be mapped.
    MapFiles,
    /// Less text to prepare.
    LessText,
    /// A smaller model to train, or less of it at a time.
    SmallerRun,
}

impl Hint {
    pub fn message(self) -> Message {
        let message = Message::new();
        match self {
            Hint::SmallerCache { fits } => message
                .words(format!("a cache of {fits} tokens fits: set "))
                .option("cache_tokens")
                .words(" to it or less"),
            Hint::SmallerWeights { dtypes: [] } => message.words("try a smaller model"),
            Hint::SmallerWeights { dtypes } => message
                .words("try ")
                .setting("dtype", dtypes.join(" or "))
                .words(", or a smaller model"),
            Hint::FewerGpuLayers { fits } => message
                .words(format!("{fits} fit: set "))
                .option("gpu_layers")
                .words(" to that or less, or leave it out"),
            Hint::StoredDType(dtype) => {
                message.words("load with ").setting("dtype", dtype).words(", as the file has it")
            }
            Hint::LargerCache => {
                message.words("load the model with a larger ").option("cache_tokens")
            }
            Hint::FewerNewTokens => message
                .words("lower ")
                .option("max_new_tokens")
                .words(", or load the model with a larger ")
                .option("cache_tokens"),
            Hint::FewerSequences => message.words("run fewer or shorter sequences at a time"),
            Hint::ShorterText => message.words("study a shorter text, or less of it"),
            Hint::MapFiles => message.words("map the file: leave out ").setting("mmap", "false"),
            Hint::LessText => message.words("prepare less text at a time"),
            Hint::SmallerRun => {
                message.words("lower micro_batch_size or sequence_length, or train a smaller model")
            }
            Hint::FewerRows => message.words("ask for the logits of fewer rows"),
        }
    }
}

/// `1.5 GiB`, `640 MiB`, `12 KiB`.
pub fn human_bytes(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["B", "KiB", "MiB", "GiB"];
    let exponent =
        (0..UNITS.len() - 1).find(|&e| bytes >> (10 * (e + 1)) == 0).unwrap_or(UNITS.len() - 1);
    let value = bytes as f64 / f64::from(1u32 << (10 * exponent as u32));
    if value < 10.0 && exponent > 0 {
        format!("{value:.1} {}", UNITS[exponent])
    } else {
        format!("{value:.0} {}", UNITS[exponent])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_written_for_people() {
        let texts = [0, 1023, 1024, 5 << 20, 640 << 20, 3 << 29].map(human_bytes);
        assert_eq!(texts, ["0 B", "1023 B", "1.0 KiB", "5.0 MiB", "640 MiB", "1.5 GiB"]);
    }
}
