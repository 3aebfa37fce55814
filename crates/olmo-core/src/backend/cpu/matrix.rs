//! Weights as the kernels read them: `[outputs, inputs]`, in one type.

use std::sync::Arc;

use half::{bf16, f16};

use super::kernels::lanes::Element;
use super::packed::{self, Packed};
use super::threads::Threads;
use super::workspace::{Buffer, Parts};
use crate::dtype::{DType, TensorType};
use crate::weights::{read_f32, TensorData};
use crate::Result;

#[derive(Debug, Clone)]
pub struct Matrix {
    pub outputs: usize,
    pub inputs: usize,
    pub kind: TensorType,
    storage: Storage,
}

#[derive(Debug, Clone)]
enum Storage {
    /// As the file has them: nothing is read before it is used, and other processes share it.
    Mapped(TensorData),
    /// Row after row, as a file would have them in this type and byte order.
    Converted(Arc<Buffer>),
    /// Blocks as the kernels want them.
    Packed(Arc<Packed>),
}

impl Matrix {
    /// A matrix to multiply with.
    pub fn new(weight: &TensorData, kind: TensorType, threads: &Threads) -> Result<Matrix> {
        match kind {
            TensorType::Float(_) => Matrix::table(weight, kind, threads),
            TensorType::Block(block) => {
                let [outputs, inputs] = checked(weight)?;
                let packed = Packed::new(weight, block, threads)?;
                weight.release();
                Ok(Matrix { outputs, inputs, kind, storage: Storage::Packed(Arc::new(packed)) })
            }
        }
    }

    /// A matrix whose rows are only looked up.
    pub fn table(weight: &TensorData, kind: TensorType, threads: &Threads) -> Result<Matrix> {
        let [outputs, inputs] = checked(weight)?;
        let align = match kind {
            TensorType::Float(dtype) => dtype.size(),
            TensorType::Block(_) => 1,
        };
        let usable = (cfg!(target_endian = "little") || matches!(kind, TensorType::Block(_)))
            && weight.dtype == kind
            && weight.bytes().as_ptr().addr().is_multiple_of(align);
        let storage = if usable {
            Storage::Mapped(weight.clone())
        } else {
            let converted = match kind {
                TensorType::Float(dtype) => convert(weight, [outputs, inputs], dtype, threads)?,
                TensorType::Block(block) => packed::quantized(weight, block, threads)?,
            };
            weight.release();
            Storage::Converted(Arc::new(converted))
        };
        Ok(Matrix { outputs, inputs, kind, storage })
    }

    /// Where the weights of the outputs from `first` on start: the first of them in a matrix of floats,
    /// their group in one of blocks. None in a table of blocks.
    pub fn at(&self, first: usize) -> Option<*const u8> {
        assert!(first < self.outputs);
        match (&self.storage, self.kind) {
            (Storage::Packed(packed), _) => Some(packed.group_of(first)),
            (_, TensorType::Float(_)) => Some(self.rows().wrapping_add(first * self.row_bytes())),
            (_, TensorType::Block(_)) => None,
        }
    }

    /// Widens one row into `out`.
    pub fn read_row(&self, row: usize, out: &mut [f32]) {
        assert!(row < self.outputs && out.len() == self.inputs);
        if let Storage::Packed(packed) = &self.storage {
            return packed.read_row(row, out);
        }
        let (bytes, start) = (self.row_bytes(), self.rows());
        // SAFETY: the row is there, so many bytes long. Floats are aligned, and any bits are such.
        unsafe {
            let stored = std::slice::from_raw_parts(start.add(row * bytes), bytes);
            match self.kind {
                TensorType::Float(DType::F32) => widen::<f32>(stored, out),
                TensorType::Float(DType::F16) => widen::<f16>(stored, out),
                TensorType::Float(DType::BF16) => widen::<bf16>(stored, out),
                TensorType::Block(block) => block.dequantize(stored, out),
            }
        }
    }

    fn row_bytes(&self) -> usize {
        self.kind.bytes(self.inputs).expect("checked when it was loaded")
    }

    fn rows(&self) -> *const u8 {
        match &self.storage {
            Storage::Mapped(weight) => weight.bytes().as_ptr(),
            Storage::Converted(buffer) => buffer.as_ptr(),
            Storage::Packed(_) => unreachable!("packed weights do not lie in rows"),
        }
    }
}

/// Outputs and inputs of a tensor that is a matrix and whole.
fn checked(weight: &TensorData) -> Result<[usize; 2]> {
    let [outputs, inputs] = weight.shape[..] else {
        let problem = format!("has shape {:?}, but a matrix is needed", weight.shape);
        return Err(weight.error(problem));
    };
    let bytes = weight.bytes().len();
    match weight.dtype.bytes(inputs).and_then(|row| row.checked_mul(outputs)) == Some(bytes) {
        true => Ok([outputs, inputs]),
        false => Err(weight.error(format!("has {bytes} bytes for {outputs} × {inputs}"))),
    }
}

/// # Safety
/// `row` holds as many elements as `out`, aligned for them.
unsafe fn widen<E: Element>(row: &[u8], out: &mut [f32]) {
    let row = std::slice::from_raw_parts(row.as_ptr().cast::<E>(), out.len());
    out.iter_mut().zip(row).for_each(|(out, x)| *out = x.to_f32());
}

/// Rows that are converted by one task.
const ROWS: usize = 16;

fn convert(
    weight: &TensorData,
    [outputs, inputs]: [usize; 2],
    dtype: DType,
    threads: &Threads,
) -> Result<Buffer> {
    let bytes = weight.elements().saturating_mul(dtype.size());
    let mut buffer = packed::zeroed(weight, bytes, TensorType::Float(dtype))?;
    // SAFETY: `bytes` were allocated, are zeroed, and nobody else knows them yet.
    let out = unsafe { std::slice::from_raw_parts_mut(buffer.as_mut_ptr(), bytes) };
    let out = Parts::new(out);
    let (stored, narrow_row) = (weight.bytes().len() / outputs.max(1), inputs * dtype.size());
    threads.run(outputs.div_ceil(ROWS), |task, _| {
        let mut row = vec![0.0; inputs];
        for output in task * ROWS..outputs.min((task + 1) * ROWS) {
            read_f32(weight.dtype, &weight.bytes()[output * stored..][..stored], &mut row);
            // SAFETY: no other task has this row.
            let out = unsafe { out.part(output * narrow_row..(output + 1) * narrow_row) };
            narrow(dtype, &row, out);
        }
    });
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
