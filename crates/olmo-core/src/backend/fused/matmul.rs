//! Matrix products of a linear layer `y = x · wᵀ`, in both directions.
//!
//! `gemm` does one thread's share. The shares are cut here, along rows of the result only: each
//! element is then one thread's sum in one order, and runs repeat to the bit.

use gemm::Parallelism;

/// Below this many multiply-adds a second thread costs more than it brings.
const SMALLEST_SHARE: usize = 1 << 19;

/// A row-major or transposed view of numbers: where row and column neighbours are.
#[derive(Clone, Copy)]
pub(super) struct Matrix {
    pub data: *const f32,
    pub row_stride: usize,
    pub column_stride: usize,
}

impl Matrix {
    /// Rows of `width` numbers after each other.
    pub(super) fn rows(values: &[f32], width: usize) -> Matrix {
        Matrix { data: values.as_ptr(), row_stride: width, column_stride: 1 }
    }

    pub(super) fn transposed(self) -> Matrix {
        Matrix { row_stride: self.column_stride, column_stride: self.row_stride, ..self }
    }
}

/// Where a product goes: rows some numbers apart, which it may be added to.
#[derive(Clone, Copy)]
pub(super) struct Target {
    data: *mut f32,
    row_stride: usize,
    add: bool,
}

impl Target {
    pub(super) fn new(data: *mut f32, row_stride: usize, add: bool) -> Target {
        Target { data, row_stride, add }
    }
}

/// `out = [out +] scale · a · b` on this thread, with `a` `[m, k]`, `b` `[k, n]` and `out` `[m, n]`.
///
/// # Safety
/// The three matrices must lie in memory the caller may read, and for `out` write, while nobody
/// else does.
pub(super) unsafe fn multiply(
    (m, k, n): (usize, usize, usize),
    out: Target,
    a: Matrix,
    b: Matrix,
    scale: f32,
) {
    gemm::gemm(
        m,
        n,
        k,
        out.data,
        1,
        out.row_stride as isize,
        out.add,
        a.data,
        a.column_stride as isize,
        a.row_stride as isize,
        b.data,
        b.column_stride as isize,
        b.row_stride as isize,
        1.0,
        scale,
        false,
        false,
        false,
        Parallelism::None,
    );
}

/// `out = [out +] a · b`, where `out` `[m, n]` is contiguous and its rows are shared out among the
/// threads.
///
/// # Safety
/// `a` and `b` must lie in readable memory; `out` is checked.
unsafe fn multiply_shared(out: &mut [f32], n: usize, add: bool, a: Matrix, b: Matrix, k: usize) {
    let m = out.len() / n;
    let shares = rayon::current_num_threads().min((m * n * k).div_ceil(SMALLEST_SHARE)).min(m);
    // A multiple of the kernel's tile, so that no share but the last has a ragged edge.
    let rows = m.div_ceil(shares.max(1)).next_multiple_of(16);
    let a = Shared(a);
    let b = Shared(b);
    rayon::scope(|scope| {
        let mut parts = out.chunks_mut(rows * n).enumerate();
        let first = parts.next();
        let run = |(share, part): (usize, &mut [f32])| {
            let mut a = a.get();
            let m = part.len() / n;
            // SAFETY: the share's rows of `a` are inside it, and `part` is this thread's alone.
            unsafe {
                a.data = a.data.add(share * rows * a.row_stride);
                multiply((m, k, n), Target::new(part.as_mut_ptr(), n, add), a, b.get(), 1.0);
            }
        };
        for part in parts {
            scope.spawn(move |_| run(part));
        }
        first.map(run);
    });
}

/// A view that threads read at the same time.
#[derive(Clone, Copy)]
struct Shared(Matrix);

// SAFETY: nobody writes to the operands of a product while it runs.
unsafe impl Send for Shared {}
unsafe impl Sync for Shared {}

impl Shared {
    fn get(&self) -> Matrix {
        self.0
    }
}

/// `y = x · wᵀ`: `x` `[rows, inputs]`, `w` `[outputs, inputs]`, `y` `[rows, outputs]`.
pub(super) fn forward(y: &mut [f32], x: &[f32], w: &[f32], inputs: usize) {
    let outputs = w.len() / inputs;
    assert_eq!(y.len() / outputs, x.len() / inputs);
    // SAFETY: the assertion and the slices' lengths.
    unsafe {
        let w = Matrix::rows(w, inputs).transposed();
        multiply_shared(y, outputs, false, Matrix::rows(x, inputs), w, inputs);
    }
}

/// `dx = [dx +] dy · w`: the gradient of the layer's input.
pub(super) fn input_gradient(dx: &mut [f32], add: bool, dy: &[f32], w: &[f32], inputs: usize) {
    let outputs = w.len() / inputs;
    assert_eq!(dy.len() / outputs, dx.len() / inputs);
    // SAFETY: the assertion and the slices' lengths.
    unsafe {
        multiply_shared(
            dx,
            inputs,
            add,
            Matrix::rows(dy, outputs),
            Matrix::rows(w, inputs),
            outputs,
        );
    }
}

/// `dw += dyᵀ · x`: the gradient of the weight, added to what earlier micro-batches left there.
pub(super) fn weight_gradient(dw: &mut [f32], dy: &[f32], x: &[f32], inputs: usize) {
    let outputs = dw.len() / inputs;
    let rows = x.len() / inputs;
    assert_eq!(dy.len(), rows * outputs);
    // SAFETY: the assertion and the slices' lengths.
    unsafe {
        let dy = Matrix::rows(dy, outputs).transposed();
        multiply_shared(dw, inputs, true, dy, Matrix::rows(x, inputs), rows);
    }
}
