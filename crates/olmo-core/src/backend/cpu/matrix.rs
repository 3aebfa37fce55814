//! Weights as the kernels read them: `[outputs, inputs]`, row-major, in one dtype.

use std::sync::Arc;

use half::{bf16, f16};

use super::kernels::lanes::Element;
use super::workspace::Buffer;
use crate::dtype::{DType, TensorType};
use crate::weights::{read_f32, TensorData};
use crate::{Error, Result};

#[derive(Debug, Clone)]
pub struct Matrix {
    pub outputs: usize,
    pub inputs: usize,
    pub dtype: DType,
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    /// As the file has them: nothing is read before it is used, and other processes share it.
    Mapped(TensorData),
    Converted(Arc<Buffer>),
}

impl Matrix {
    pub fn new(weight: &TensorData, dtype: DType) -> Result<Matrix> {
        let error = |problem: String| Error::InvalidWeights {
            file: weight.file.to_path_buf(),
            tensor: weight.name.clone(),
            problem,
        };
        let [outputs, inputs] = weight.shape[..] else {
            return Err(error(format!("has shape {:?}, but a matrix is needed", weight.shape)));
        };
        let bytes = weight.bytes();
        let expected = weight.dtype.bytes(inputs).and_then(|row| row.checked_mul(outputs));
        if Some(bytes.len()) != expected {
            return Err(error(format!("has {} bytes for {outputs} × {inputs}", bytes.len())));
        }
        let usable = cfg!(target_endian = "little")
            && weight.dtype == TensorType::Float(dtype)
            && bytes.as_ptr().addr().is_multiple_of(dtype.size());
        let storage = match usable {
            true => Storage::Mapped(weight.clone()),
            false => Storage::Converted(Arc::new(convert(weight, [outputs, inputs], dtype)?)),
        };
        Ok(Matrix { outputs, inputs, dtype, storage })
    }

    /// The first element of a row; the others follow, and so do the rows behind it.
    pub fn row(&self, row: usize) -> *const u8 {
        let start = match &self.storage {
            Storage::Mapped(weight) => weight.bytes().as_ptr(),
            Storage::Converted(buffer) => buffer.as_ptr(),
        };
        assert!(row <= self.outputs);
        start.wrapping_add(row * self.inputs * self.dtype.size())
    }

    /// Widens one row into `out`.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.outputs && out.len() == self.inputs);
        // SAFETY: the row is there, `inputs` elements long and aligned for them, and any bits are
        // such an element.
        unsafe {
            match self.dtype {
                DType::F32 => widen::<f32>(self.row(row), out),
                DType::F16 => widen::<f16>(self.row(row), out),
                DType::BF16 => widen::<bf16>(self.row(row), out),
            }
        }
    }
}

/// # Safety
/// `from` points to as many elements as `out` has.
unsafe fn widen<E: Element>(from: *const u8, out: &mut [f32]) {
    let from = std::slice::from_raw_parts(from.cast::<E>(), out.len());
    out.iter_mut().zip(from).for_each(|(out, x)| *out = x.to_f32());
}

fn convert(weight: &TensorData, [outputs, inputs]: [usize; 2], dtype: DType) -> Result<Buffer> {
    let bytes = weight.elements().saturating_mul(dtype.size());
    let what = format!("tensor `{}` in {}", weight.name, dtype.name());
    let hint = format!("load with dtype {}, as the file has it", weight.dtype.name());
    let mut buffer = Buffer::zeroed(bytes, &what, &hint)?;
    // SAFETY: `bytes` were allocated, are zeroed, and nobody else knows them yet.
    let out = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr(), bytes) };
    let stored = weight.bytes().chunks_exact((weight.bytes().len() / outputs.max(1)).max(1));
    let mut row = vec![0.0; inputs];
    for (out, stored) in out.chunks_exact_mut((inputs * dtype.size()).max(1)).zip(stored) {
        read_f32(weight.dtype, stored, &mut row);
        narrow(dtype, &row, out);
    }
    Ok(buffer)
}

/// Rounds numbers to a dtype, in this machine's byte order.
fn narrow(dtype: DType, row: &[f32], out: &mut [u8]) {
    let out = out.chunks_exact_mut(dtype.size()).zip(row);
    match dtype {
        DType::F32 => out.for_each(|(out, x)| out.copy_from_slice(&x.to_ne_bytes())),
        DType::F16 => {
            out.for_each(|(out, &x)| out.copy_from_slice(&f16::from_f32(x).to_ne_bytes()))
        }
        DType::BF16 => {
            out.for_each(|(out, &x)| out.copy_from_slice(&bf16::from_f32(x).to_ne_bytes()))
        }
    }
}
