//! Parts of buffers, as kernels see them, and activations.

use std::sync::Arc;

use super::buffers::Pooled;

/// Words to whose multiple the beginnings of parts of a buffer are rounded: the alignment that every device takes.
pub(super) const ALIGN_WORDS: usize = 64;

/// A part of a buffer that a kernel reads or writes.
#[derive(Clone)]
pub(super) struct Slice {
    pub buffer: wgpu::Buffer,
    /// In words, as the rest.
    pub first: usize,
    pub words: usize,
    pub role: Role,
    /// How many words of it move between the device's memory and the kernel.
    pub moved: usize,
}

/// What a buffer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    Weights,
    Cache,
    Activations,
    /// What the host says of a batch.
    Batch,
}

impl Slice {
    pub fn new(buffer: &wgpu::Buffer, first: usize, words: usize, role: Role) -> Slice {
        Slice { buffer: buffer.clone(), first, words, role, moved: words }
    }

    pub fn whole(buffer: &wgpu::Buffer, role: Role) -> Slice {
        Slice::new(buffer, 0, buffer.size() as usize / 4, role)
    }

    /// The same of a kernel that does not read or write each word once.
    pub fn moving(self, moved: usize) -> Slice {
        Slice { moved, ..self }
    }
}

/// Activations `[rows, width]`: a part of a buffer that others may lie in too. No operation changes them in place.
pub struct Tensor {
    buffer: Arc<Pooled>,
    /// The word at which they begin.
    pub(super) first: usize,
    pub(super) rows: usize,
    pub(super) width: usize,
}

impl Tensor {
    /// The words that tensors of these widths take, one after the other.
    pub(super) fn words(rows: usize, widths: &[usize]) -> usize {
        let words = |&width: &usize| rows.saturating_mul(width).saturating_add(ALIGN_WORDS - 1);
        let aligned = |words: usize| words / ALIGN_WORDS * ALIGN_WORDS;
        widths.iter().map(words).map(aligned).fold(0, usize::saturating_add)
    }

    /// Tensors of these widths, one after the other in a buffer.
    pub(super) fn of<const N: usize>(
        buffer: Pooled,
        rows: usize,
        widths: [usize; N],
    ) -> [Tensor; N] {
        let buffer = Arc::new(buffer);
        let mut first = 0;
        widths.map(|width| {
            let tensor = Tensor { buffer: buffer.clone(), first, rows, width };
            first += Tensor::words(rows, &[width]);
            tensor
        })
    }

    /// The same numbers; they are not copied.
    pub(super) fn share(&self) -> Tensor {
        Tensor { buffer: self.buffer.clone(), ..*self }
    }

    pub(super) fn buffer(&self) -> &wgpu::Buffer {
        self.buffer.buffer()
    }

    pub(super) fn slice(&self) -> Slice {
        Slice::new(self.buffer(), self.first, self.rows * self.width, Role::Activations)
    }
}

/// The weight of a norm.
pub struct Vector {
    pub(super) buffer: wgpu::Buffer,
    pub(super) width: usize,
}

impl Vector {
    pub(super) fn slice(&self) -> Slice {
        Slice::new(&self.buffer, 0, self.width, Role::Weights)
    }
}
