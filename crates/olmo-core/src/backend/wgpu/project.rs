//! Products of activations with weights.

use super::cooperative::Units;
use super::gpu::Gpu;
use super::kernels::{
    Kernel, Lines, COOPERATIVE_OUTPUTS, COOPERATIVE_ROWS, LINES, MOST_ROWS, MOST_SEGMENTS, TILE,
};
use super::matrix::{Matrix, Part, UNIT};
use super::slice::{Role, Slice, Tensor};
use super::{spread, words, WgpuOps};
use crate::dtype::TensorType;
use crate::{Error, Result};

/// `Segment` of `shaders/lines.wgsl`.
struct Segment {
    /// The first workgroup behind those of this segment.
    groups: usize,
    kind: usize,
    lines: usize,
    word: usize,
    row_words: usize,
    /// Where its first number is in the output, and how many a row of that has.
    y: usize,
    width: usize,
}

impl WgpuOps {
    pub(super) fn project_all<const N: usize>(
        &self,
        x: &Tensor,
        weights: [&Matrix; N],
    ) -> Result<[Tensor; N]> {
        check(x, &weights)?;
        if x.rows > MOST_ROWS || N > MOST_SEGMENTS {
            return each(weights, |weight| {
                self.gpu.project_tiles(x, weight, self.gpu.tiles(weight.layout.kind, is_wide(x)))
            });
        }
        match joined(&weights) {
            Some((part, kinds)) => self.project_together(x, weights, part, kinds),
            None => each(weights, |weight| self.project_rows(x, weight)),
        }
    }

    /// `silu(x · gateᵀ) · (x · upᵀ)`, if one kernel can do it all.
    pub(super) fn swiglu_together(
        &self,
        x: &Tensor,
        gate: &Matrix,
        up: &Matrix,
    ) -> Result<Option<Tensor>> {
        check(x, &[gate, up])?;
        let agree = gate.outputs == up.outputs && gate.layout == up.layout;
        let Some((part, kinds)) = joined(&[gate, up]) else { return Ok(None) };
        if x.rows > MOST_ROWS || !agree {
            return Ok(None);
        }
        let [y] = self.gpu.tensors(x.rows, [gate.outputs])?;
        let groups = gate.outputs.div_ceil(LINES / 2);
        let segment = |matrix: &Matrix| Segment::new(matrix, &matrix.parts[0], 0, groups);
        let segments = [segment(gate), segment(up)];
        let kernel = Kernel::SwigluRows(lines(x, kinds));
        let slices = [weights_of(part, &[gate, up]), x.slice(), y.slice()];
        self.multiply(kernel, x, gate, &segments, slices)?;
        Ok(Some(y))
    }

    fn project_together<const N: usize>(
        &self,
        x: &Tensor,
        weights: [&Matrix; N],
        part: &Part,
        kinds: [TensorType; 2],
    ) -> Result<[Tensor; N]> {
        let ys = self.gpu.tensors(x.rows, weights.map(|weight| weight.outputs))?;
        let mut groups = 0;
        let segments: Vec<Segment> = weights
            .iter()
            .zip(&ys)
            .map(|(matrix, y)| {
                groups += matrix.outputs.div_ceil(LINES);
                let segment = Segment::new(matrix, &matrix.parts[0], y.first, groups);
                Segment { kind: usize::from(matrix.layout.kind != kinds[0]), ..segment }
            })
            .collect();
        let end = ys.iter().map(|y| y.first + y.rows * y.width).max().unwrap_or(0);
        let y = Slice::new(ys[0].buffer(), 0, end, Role::Activations);
        let moved = ys.iter().map(|y| y.rows * y.width).sum();
        let slices = [weights_of(part, &weights), x.slice(), y.moving(moved)];
        let kernel = Kernel::ProjectRows(lines(x, kinds));
        self.multiply(kernel, x, weights[0], &segments, slices)?;
        Ok(ys)
    }

    fn project_rows(&self, x: &Tensor, weight: &Matrix) -> Result<Tensor> {
        let [y] = self.gpu.tensors(x.rows, [weight.outputs])?;
        for part in weight.parts.iter() {
            let segments = [Segment::new(weight, part, part.first, part.outputs.div_ceil(LINES))];
            let kernel = Kernel::ProjectRows(lines(x, [weight.layout.kind; 2]));
            let output = y.slice().moving(x.rows * part.outputs);
            let slices = [part.slice(weight.layout), x.slice(), output];
            self.multiply(kernel, x, weight, &segments, slices)?;
        }
        Ok(y)
    }

    fn multiply(
        &self,
        kernel: Kernel,
        x: &Tensor,
        weight: &Matrix,
        segments: &[Segment],
        slices: [Slice; 3],
    ) -> Result<()> {
        let groups = segments.last().map_or(0, |segment| segment.groups);
        let mut params = words([x.width, weight.layout.units, groups, 0]).to_vec();
        params.extend(segments.iter().flat_map(Segment::params));
        self.gpu.dispatch(kernel, &params, &slices, spread(groups))
    }
}

/// A kernel that multiplies many rows, and the rows and outputs of its workgroups.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    kernel: Kernel,
    rows: usize,
    outputs: usize,
}

impl Tiles {
    pub fn plain(kind: TensorType, is_wide: bool) -> Tiles {
        let kernel = Kernel::ProjectTiles(kind, is_wide);
        Tiles { kernel, rows: TILE, outputs: TILE }
    }

    /// For rows of whole units.
    pub fn cooperative(kind: TensorType, units: Units) -> Tiles {
        let kernel = Kernel::ProjectCooperative(kind, units);
        Tiles { kernel, rows: COOPERATIVE_ROWS, outputs: COOPERATIVE_OUTPUTS }
    }
}

impl Gpu {
    pub fn project_tiles(&self, x: &Tensor, weight: &Matrix, tiles: Tiles) -> Result<Tensor> {
        let [y] = self.tensors(x.rows, [weight.outputs])?;
        let tiles_of_rows = x.rows.div_ceil(tiles.rows);
        for part in weight.parts.iter() {
            let slices = [part.slice(weight.layout), x.slice(), y.slice()];
            let of_tile = 2 * tiles_of_rows * tiles.rows * tiles.outputs * x.width;
            for range in self.cut(part.outputs.div_ceil(tiles.outputs), of_tile)? {
                let params = [
                    x.rows,
                    x.width,
                    weight.layout.units,
                    weight.layout.row_words,
                    part.first,
                    part.outputs,
                    weight.outputs,
                    part.word,
                    range.start,
                ];
                let groups = words([range.len(), tiles_of_rows, 1]);
                self.dispatch(tiles.kernel, &words(params), &slices, groups)?;
            }
        }
        Ok(y)
    }
}

impl Segment {
    fn new(matrix: &Matrix, part: &Part, y: usize, groups: usize) -> Segment {
        Segment {
            groups,
            kind: 0,
            lines: part.outputs,
            word: part.word,
            row_words: matrix.layout.row_words,
            y,
            width: matrix.outputs,
        }
    }

    fn params(&self) -> [u32; 8] {
        let &Segment { groups, kind, lines, word, row_words, y, width } = self;
        words([groups, kind, lines, word, row_words, y, width, 0])
    }
}

fn lines(x: &Tensor, kinds: [TensorType; 2]) -> Lines {
    Lines { kinds, rows: x.rows, is_wide: is_wide(x) }
}

fn is_wide(x: &Tensor) -> bool {
    x.width.is_multiple_of(UNIT)
}

fn check(x: &Tensor, weights: &[&Matrix]) -> Result<()> {
    match weights.iter().find(|weight| weight.inputs != x.width) {
        Some(weight) => {
            let problem = format!("rows of {} met a matrix of {}", x.width, weight.inputs);
            Err(Error::Internal(problem))
        }
        None => Ok(()),
    }
}

/// If these matrices lie whole in one buffer and have at most two types: one of them in it, and the types.
fn joined<'a>(weights: &[&'a Matrix]) -> Option<(&'a Part, [TensorType; 2])> {
    let [part] = &*weights.first()?.parts else { return None };
    let together = |matrix: &&Matrix| matches!(&*matrix.parts, [p] if p.buffer == part.buffer);
    let kinds = weights.iter().map(|weight| weight.layout.kind);
    let first = weights[0].layout.kind;
    let second = kinds.clone().find(|&kind| kind != first).unwrap_or(first);
    let few = kinds.clone().all(|kind| kind == first || kind == second);
    (few && weights.iter().all(together)).then_some((part, [first, second]))
}

/// All of the buffer, of which a kernel reads these matrices.
fn weights_of(part: &Part, weights: &[&Matrix]) -> Slice {
    let moved = weights.iter().map(|weight| weight.parts[0].words(weight.layout)).sum();
    Slice::whole(&part.buffer, Role::Weights).moving(moved)
}

fn each<const N: usize>(
    weights: [&Matrix; N],
    project: impl Fn(&Matrix) -> Result<Tensor>,
) -> Result<[Tensor; N]> {
    let outputs: Vec<Tensor> = weights.into_iter().map(project).collect::<Result<_>>()?;
    Ok(outputs.try_into().unwrap_or_else(|_| unreachable!("one output a weight")))
}
