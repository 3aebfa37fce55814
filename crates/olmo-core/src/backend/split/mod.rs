//! Two backends as one: the first layers of a model run on one of them, the others and the head on the other.
//!
//! Where the layers change from one to the other, the hidden state goes over, once a pass: a [`Tensor`] of the first
//! backend keeps what it has become on the other. Nothing goes the other way.

mod study;
mod values;

pub use values::{Cache, Matrix, Pass, Tensor, Vector};

use std::ops::Range;

use self::values::Early;
use crate::cache::CacheShape;
use crate::ops::{Batch, LayerKind, LayerSpec, Ops, QkNorm, Receive};
use crate::sampling::{TopLogits, TopRequest};
use crate::shapes::EMBEDDING;
use crate::weights::TensorData;
use crate::{Error, Result};

pub struct SplitOps<A, B> {
    first: A,
    last: B,
    /// Layers of the first backend.
    layers: usize,
}

impl<A: Ops, B: Receive> SplitOps<A, B> {
    /// The first so many layers run on `first`, with the embedding table.
    pub fn new(first: A, last: B, layers: usize) -> SplitOps<A, B> {
        SplitOps { first, last, layers }
    }

    /// Whether a weight, or an adapter of it, belongs to a layer of the first backend.
    fn is_first(&self, weight: &TensorData) -> bool {
        let layer = weight.name.strip_prefix("model.layers.").and_then(|rest| rest.split_once('.'));
        layer.is_some_and(|(index, _)| index.parse().is_ok_and(|index: usize| index < self.layers))
    }

    /// The layer as the last backend counts.
    fn after(&self, layer: LayerSpec) -> Result<LayerSpec> {
        match layer.index.checked_sub(self.layers) {
            Some(index) => Ok(LayerSpec { index, ..layer }),
            None => Err(astray()),
        }
    }

    /// The activations on the last backend, where they stay.
    fn moved<'t>(&self, x: &'t Tensor<A, B>) -> Result<&'t B::Tensor> {
        match x {
            Tensor::Last(x) => Ok(x),
            Tensor::First(early) => early.moved(|| self.carry(early)),
        }
    }

    /// The same of activations that nobody else needs.
    fn hand_over(&self, x: Tensor<A, B>) -> Result<B::Tensor> {
        match x {
            Tensor::Last(x) => Ok(x),
            Tensor::First(early) => match early.into_moved() {
                Ok(moved) => Ok(moved),
                Err(early) => self.carry(&early),
            },
        }
    }

    fn carry(&self, early: &Early<A, B>) -> Result<B::Tensor> {
        let mut numbers = Vec::new();
        self.first.read(&early.x, &mut numbers)?;
        self.last.receive(&numbers, early.rows)
    }
}

/// Activations of the last backend met something of the first.
fn astray() -> Error {
    Error::Internal("activations went back to a backend that they had left".into())
}

impl<A: Ops, B: Receive> Ops for SplitOps<A, B> {
    const FINDS_TOP: bool = B::FINDS_TOP;

    type Tensor = Tensor<A, B>;
    type Matrix = Matrix<A, B>;
    type Vector = Vector<A, B>;
    type Cache = Cache<A, B>;
    type Pass<'a> = Pass<'a, A, B>;

    fn matrix(&mut self, weight: &TensorData) -> Result<Matrix<A, B>> {
        let (mut first, mut last) = (None, None);
        if self.is_first(weight) {
            first = Some(self.first.matrix(weight)?);
        } else {
            last = Some(self.last.matrix(weight)?);
        }
        if weight.name == EMBEDDING {
            first = Some(self.first.table(weight)?); // it is the head too
        }
        Ok(Matrix { first, last })
    }

    fn matrices<const N: usize>(&mut self, weights: [&TensorData; N]) -> Result<[Matrix<A, B>; N]> {
        let first = weights.iter().filter(|weight| self.is_first(weight)).count();
        if first == N {
            let found = self.first.matrices(weights)?;
            return Ok(found.map(|first| Matrix { first: Some(first), last: None }));
        }
        if first > 0 {
            return Err(Error::Internal("matrices of both backends share an input".into()));
        }
        Ok(self.last.matrices(weights)?.map(|last| Matrix { first: None, last: Some(last) }))
    }

    fn table(&mut self, weight: &TensorData) -> Result<Matrix<A, B>> {
        Ok(Matrix { first: Some(self.first.table(weight)?), last: None })
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Vector<A, B>> {
        Ok(match self.is_first(weight) {
            true => Vector::First(self.first.vector(weight)?),
            false => Vector::Last(self.last.vector(weight)?),
        })
    }

    fn cache(&self, shape: &CacheShape) -> Result<Cache<A, B>> {
        let (first, last) = shape.blocks.split_at(self.layers.min(shape.blocks.len()));
        let of = |blocks: &[usize]| CacheShape { blocks: blocks.to_vec(), ..*shape };
        Ok(Cache { first: self.first.cache(&of(first))?, last: self.last.cache(&of(last))? })
    }

    fn begin<'a>(&self, batch: &'a Batch, kinds: &'a [LayerKind]) -> Result<Pass<'a, A, B>> {
        Ok(Pass {
            rows: batch.rows(),
            outputs: batch.outputs.len(),
            first: self.first.begin(batch, kinds)?,
            last: self.last.begin(batch, kinds)?,
        })
    }

    fn embed(&self, table: &Matrix<A, B>, pass: &Pass<'_, A, B>) -> Result<Tensor<A, B>> {
        let table = table.first.as_ref().ok_or_else(astray)?;
        Ok(Tensor::first(self.first.embed(table, &pass.first)?, pass.rows))
    }

    fn project<const N: usize>(
        &self,
        x: &Tensor<A, B>,
        weights: [&Matrix<A, B>; N],
    ) -> Result<[Tensor<A, B>; N]> {
        if weights.iter().all(|weight| weight.last.is_some()) {
            let weights = weights.map(|weight| weight.last.as_ref().expect("asked above"));
            return Ok(self.last.project(self.moved(x)?, weights)?.map(Tensor::Last));
        }
        if weights.iter().any(|weight| weight.first.is_none()) {
            return Err(astray());
        }
        let Tensor::First(early) = x else { return Err(astray()) };
        let weights = weights.map(|weight| weight.first.as_ref().expect("asked above"));
        Ok(self.first.project(&early.x, weights)?.map(|y| Tensor::first(y, early.rows)))
    }

    fn rms_norm(&self, x: Tensor<A, B>, weight: &Vector<A, B>, eps: f32) -> Result<Tensor<A, B>> {
        match (x, weight) {
            (x, Vector::Last(weight)) => {
                Ok(Tensor::Last(self.last.rms_norm(self.hand_over(x)?, weight, eps)?))
            }
            (Tensor::First(early), Vector::First(weight)) => {
                Ok(Tensor::first(self.first.rms_norm(early.x, weight, eps)?, early.rows))
            }
            (Tensor::Last(_), Vector::First(_)) => Err(astray()),
        }
    }

    fn rope(
        &self,
        x: Tensor<A, B>,
        layer: LayerSpec,
        pass: &Pass<'_, A, B>,
    ) -> Result<Tensor<A, B>> {
        Ok(match x {
            Tensor::First(early) => {
                Tensor::first(self.first.rope(early.x, layer, &pass.first)?, early.rows)
            }
            Tensor::Last(x) => Tensor::Last(self.last.rope(x, self.after(layer)?, &pass.last)?),
        })
    }

    fn attention(
        &self,
        q: &Tensor<A, B>,
        k: &Tensor<A, B>,
        v: &Tensor<A, B>,
        cache: &mut Cache<A, B>,
        layer: LayerSpec,
        pass: &Pass<'_, A, B>,
    ) -> Result<Tensor<A, B>> {
        match (q, k, v) {
            (Tensor::First(q), Tensor::First(k), Tensor::First(v)) => {
                let cache = &mut cache.first;
                let h = self.first.attention(&q.x, &k.x, &v.x, cache, layer, &pass.first)?;
                Ok(Tensor::first(h, q.rows))
            }
            (Tensor::Last(q), Tensor::Last(k), Tensor::Last(v)) => {
                let (cache, layer) = (&mut cache.last, self.after(layer)?);
                Ok(Tensor::Last(self.last.attention(q, k, v, cache, layer, &pass.last)?))
            }
            _ => Err(astray()),
        }
    }

    fn normed_attention(
        &self,
        [q, k, v]: [Tensor<A, B>; 3],
        norms: QkNorm<'_, Vector<A, B>>,
        cache: &mut Cache<A, B>,
        layer: LayerSpec,
        pass: &Pass<'_, A, B>,
    ) -> Result<[Tensor<A, B>; 2]> {
        let eps = norms.eps;
        match (q, k, v, norms.q, norms.k) {
            (
                Tensor::First(q),
                Tensor::First(k),
                Tensor::First(v),
                Vector::First(q_norm),
                Vector::First(k_norm),
            ) => {
                let rows = q.rows;
                let norms = QkNorm { q: q_norm, k: k_norm, eps };
                let (cache, pass) = (&mut cache.first, &pass.first);
                let found =
                    self.first.normed_attention([q.x, k.x, v.x], norms, cache, layer, pass)?;
                Ok(found.map(|x| Tensor::first(x, rows)))
            }
            (
                Tensor::Last(q),
                Tensor::Last(k),
                Tensor::Last(v),
                Vector::Last(q_norm),
                Vector::Last(k_norm),
            ) => {
                let norms = QkNorm { q: q_norm, k: k_norm, eps };
                let (cache, layer) = (&mut cache.last, self.after(layer)?);
                let found =
                    self.last.normed_attention([q, k, v], norms, cache, layer, &pass.last)?;
                Ok(found.map(Tensor::Last))
            }
            _ => Err(astray()),
        }
    }

    fn swiglu(
        &self,
        x: &Tensor<A, B>,
        gate: &Matrix<A, B>,
        up: &Matrix<A, B>,
    ) -> Result<Tensor<A, B>> {
        match (x, &gate.last, &up.last, &gate.first, &up.first) {
            (x, Some(gate), Some(up), ..) => {
                Ok(Tensor::Last(self.last.swiglu(self.moved(x)?, gate, up)?))
            }
            (Tensor::First(early), _, _, Some(gate), Some(up)) => {
                Ok(Tensor::first(self.first.swiglu(&early.x, gate, up)?, early.rows))
            }
            _ => Err(astray()),
        }
    }

    fn norm_add(
        &self,
        x: &Tensor<A, B>,
        h: Tensor<A, B>,
        weight: &Vector<A, B>,
        eps: f32,
    ) -> Result<Tensor<A, B>> {
        match (x, h, weight) {
            (x, Tensor::Last(h), Vector::Last(weight)) => {
                Ok(Tensor::Last(self.last.norm_add(self.moved(x)?, h, weight, eps)?))
            }
            (Tensor::First(x), Tensor::First(h), Vector::First(weight)) => {
                Ok(Tensor::first(self.first.norm_add(&x.x, h.x, weight, eps)?, x.rows))
            }
            _ => Err(astray()),
        }
    }

    fn silu_mul(&self, gate: Tensor<A, B>, up: &Tensor<A, B>) -> Result<Tensor<A, B>> {
        match (gate, up) {
            (Tensor::First(gate), Tensor::First(up)) => {
                Ok(Tensor::first(self.first.silu_mul(gate.x, &up.x)?, gate.rows))
            }
            (Tensor::Last(gate), up) => {
                Ok(Tensor::Last(self.last.silu_mul(gate, self.moved(up)?)?))
            }
            (Tensor::First(_), Tensor::Last(_)) => Err(astray()),
        }
    }

    fn add(&self, x: Tensor<A, B>, y: &Tensor<A, B>) -> Result<Tensor<A, B>> {
        match (x, y) {
            (Tensor::First(x), Tensor::First(y)) => {
                Ok(Tensor::first(self.first.add(x.x, &y.x)?, x.rows))
            }
            (Tensor::Last(x), y) => Ok(Tensor::Last(self.last.add(x, self.moved(y)?)?)),
            (Tensor::First(_), Tensor::Last(_)) => Err(astray()),
        }
    }

    fn select_outputs(&self, x: &Tensor<A, B>, pass: &Pass<'_, A, B>) -> Result<Tensor<A, B>> {
        Ok(match x {
            Tensor::First(early) => {
                Tensor::first(self.first.select_outputs(&early.x, &pass.first)?, pass.outputs)
            }
            Tensor::Last(x) => Tensor::Last(self.last.select_outputs(x, &pass.last)?),
        })
    }

    fn read(&self, x: &Tensor<A, B>, out: &mut Vec<f32>) -> Result<()> {
        match x {
            Tensor::First(early) => self.first.read(&early.x, out),
            Tensor::Last(x) => self.last.read(x, out),
        }
    }

    fn read_rows(
        &self,
        x: &Tensor<A, B>,
        rows: Range<usize>,
        width: usize,
        out: &mut Vec<f32>,
    ) -> Result<()> {
        match x {
            Tensor::First(early) => self.first.read_rows(&early.x, rows, width, out),
            Tensor::Last(x) => self.last.read_rows(x, rows, width, out),
        }
    }

    fn top_logits(&self, x: &Tensor<A, B>, request: &TopRequest) -> Result<Vec<TopLogits>> {
        self.last.top_logits(self.moved(x)?, request)
    }
}
