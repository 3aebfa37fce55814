//! OLMo's rows: ids and labels of one length, one row after the other.
//!
//! Source: `scripts/prepare_tulu_data.py` of allenai/OLMo at 80db5e3, but for the ids of a vocabulary that
//! its 16 bits do not hold, which are stored in 32.

use olmo_core::Result;

use super::{Each, Files};
use crate::example::ids_as_bytes;
use crate::setup::Run;

pub fn write(run: &Run, files: &mut Files, each: &mut Each) -> Result<()> {
    let length = run.options.max_seq_len.unwrap_or_default();
    let dtype = run.setup.dtype;
    let pad = ids_as_bytes(&[run.setup.pad], dtype.size());
    let mut ids = files.create("input_ids.npy")?;
    let mut labels = files.create("label_mask.npy")?;
    each(&mut |mut example| {
        let missing = length - example.mask.len().min(length);
        example.body.extend(pad.repeat(missing));
        example.mask.resize(length, 0);
        ids.write(&example.body)?;
        labels.write(&example.mask)
    })?;
    files.finish(ids)?;
    files.finish(labels)?;
    files.write("data.yaml", config(length, dtype.name()).as_bytes())
}

/// What OLMo's config has to say to read them.
fn config(length: usize, dtype: &str) -> String {
    format!(
        "# For OLMo's scripts/train.py, in the folder of these files. The dtype has to be said: its default\n\
         # is uint16.\n\
         model:\n  max_sequence_length: {length}\n\
         data:\n  paths: [input_ids.npy]\n  label_mask_paths: [label_mask.npy]\n  memmap_dtype: {dtype}\n  \
         generate_attention_mask: true\n"
    )
}
