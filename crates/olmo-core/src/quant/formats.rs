//! The list of formats. An entry is all that must be written of a format outside its own files; enums,
//! tables of functions, numbers in files and names in options and messages are made of the entries.

/// Hands the entries to the macro `$callback`: those of most bits first, the order of lists that users
/// see.
///
/// `Format: file::Block, mix Scheme { … };` says that `quant/file.rs` has the block, that
/// `kernels/blocks/file.rs` has its kernel, named `Format`, and in which mix of a whole model it is the
/// usual format. Of the mix: its name, its number in files (`llama_ftype` in `llama.h` of llama.cpp), and
/// the format of the matrices that suffer most.
macro_rules! formats {
    ($callback:ident) => {
        $callback! {
            Q8_0: q8_0::BlockQ8_0, mix Q8_0 { name: "q8_0", file_type: 7, sensitive: Q8_0 };
            Q6K: q6_k::BlockQ6K, mix Q6K { name: "q6_k", file_type: 18, sensitive: Q6K };
            Q5K: q5_k::BlockQ5K, mix Q5KM { name: "q5_k_m", file_type: 17, sensitive: Q6K };
            Q5_0: q5_0::BlockQ5_0, mix Q5_0 { name: "q5_0", file_type: 8, sensitive: Q5_0 };
            Q4K: q4_k::BlockQ4K, mix Q4KM { name: "q4_k_m", file_type: 15, sensitive: Q6K };
            Q4_0: q4_0::BlockQ4_0, mix Q4_0 { name: "q4_0", file_type: 2, sensitive: Q4_0 };
        }
    };
}
pub(crate) use formats;
