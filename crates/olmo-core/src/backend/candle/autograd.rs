//! The training operations on any candle device, differentiated by candle's autograd.
//!
//! Nothing is fused: this is how a GPU trains, and on the CPU the readable twin that
//! [`FusedOps`](crate::backend::fused::FusedOps) is tested against.

use std::ops::Range;

use candle_core::{Device, Tensor, Var, D};

use super::pass::{mask, outputs, Angles};
use super::{repeat_heads, CandleOps};
use crate::cache::CacheShape;
use crate::dtype::DType;
use crate::ops::{Batch, LayerKind, LayerSpec, LossScale, LossSums, Ops, Parameter, TrainOps};
use crate::weights::TensorData;
use crate::Result;

/// Weights are candle variables in f32; the optimizer's copy of them is on the host.
pub struct AutogradOps {
    ops: CandleOps,
    device: Device,
    variables: Vec<Var>,
    /// One for each variable.
    parameters: Vec<Parameter>,
    recording: bool,
}

/// A batch on the device. Its texts begin in it, so the cache holds nothing of them.
pub struct Pass {
    ids: Tensor,             // [rows]
    outputs: Option<Tensor>, // [outputs]
    texts: Vec<Range<usize>>,
    kinds: Vec<KindPass>,
}

/// What the layers of one kind of attention share.
struct KindPass {
    angles: Angles,
    masks: Vec<Tensor>, // for each text [rows, rows]
}

impl Pass {
    fn new(batch: &Batch, kinds: &[LayerKind], device: &Device) -> Result<Pass> {
        debug_assert!(batch.spans.iter().all(|span| span.start == 0));
        let texts: Vec<Range<usize>> = batch.spans.iter().map(|span| span.rows.clone()).collect();
        let kind = |kind: &LayerKind| {
            let mask =
                |text: &Range<usize>| mask(kind.attention, 0..text.len(), 0..text.len(), device);
            Ok(KindPass {
                angles: Angles::new(&kind.rope, &batch.positions, device)?,
                masks: texts.iter().map(mask).collect::<Result<_>>()?,
            })
        };
        Ok(Pass {
            ids: Tensor::new(&batch.tokens[..], device)?,
            outputs: outputs(batch, device)?,
            kinds: kinds.iter().map(kind).collect::<Result<_>>()?,
            texts,
        })
    }
}

impl AutogradOps {
    pub fn new(device: Device) -> AutogradOps {
        AutogradOps {
            ops: CandleOps::new(device.clone(), DType::F32),
            device,
            variables: Vec::new(),
            parameters: Vec::new(),
            recording: false,
        }
    }

    fn register(&mut self, weight: &TensorData) -> Result<Var> {
        let value = weight.to_f32();
        let variable = Var::from_slice(&value, weight.shape.as_slice(), &self.device)?;
        self.variables.push(variable.clone());
        self.parameters.push(Parameter::new(&weight.name, &weight.shape, value));
        Ok(variable)
    }

    /// The weight as the next operation should see it.
    fn tracked(&self, weight: &Var) -> Tensor {
        match self.recording {
            true => weight.as_tensor().clone(),
            false => weight.as_detached_tensor(),
        }
    }

    /// Probabilities `[heads, rows, rows]` of one text.
    fn probabilities(
        &self,
        q: &Tensor,
        k: &Tensor,
        rows: &Range<usize>,
        mask: &Tensor,
        head_dim: usize,
    ) -> Result<Tensor> {
        let q = heads(q, rows, head_dim)?;
        let k = repeat_heads(&heads(k, rows, head_dim)?, q.dim(0)?)?;
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (head_dim as f64).sqrt())?;
        let scores = scores.broadcast_add(mask)?;
        // The shift cancels out, so it needs no gradient.
        let largest = scores.detach().max_keepdim(D::Minus1)?;
        let scores = scores.broadcast_sub(&largest)?.exp()?;
        Ok(scores.broadcast_div(&scores.sum_keepdim(D::Minus1)?)?)
    }

    /// `log Σ exp(logits)` and the targets' logits, `[rows]` each.
    fn log_sum_exp(&self, logits: &Tensor, targets: &[u32]) -> Result<(Tensor, Tensor)> {
        let largest = logits.detach().max_keepdim(D::Minus1)?;
        let sum = logits.broadcast_sub(&largest)?.exp()?.sum_keepdim(D::Minus1)?;
        let z = (sum.log()? + largest)?.squeeze(1)?;
        let targets = Tensor::new(targets, &self.device)?.unsqueeze(1)?;
        Ok((z, logits.gather(&targets, 1)?.squeeze(1)?))
    }
}

/// Some rows `[n, heads · head_dim]` of `x`, as `[heads, n, head_dim]`.
fn heads(x: &Tensor, rows: &Range<usize>, head_dim: usize) -> Result<Tensor> {
    let x = x.narrow(0, rows.start, rows.len())?;
    let x = x.reshape((rows.len(), x.dim(1)? / head_dim, head_dim))?;
    Ok(x.transpose(0, 1)?.contiguous()?)
}

fn sums(z: &Tensor, target_logits: &Tensor) -> Result<LossSums> {
    let mut sums = LossSums::default();
    for (z, logit) in z.to_vec1()?.into_iter().zip(target_logits.to_vec1()?) {
        sums.add_row(z, logit);
    }
    Ok(sums)
}

impl Ops for AutogradOps {
    type Tensor = Tensor;
    type Matrix = Var;
    type Vector = Var;
    /// Nothing is kept after a pass: this only says how wide the heads are.
    type Cache = CacheShape;
    type Pass<'a> = Pass;

    fn matrix(&mut self, weight: &TensorData) -> Result<Var> {
        self.register(weight)
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Var> {
        self.register(weight)
    }

    fn cache(&self, shape: &CacheShape) -> Result<CacheShape> {
        Ok(shape.clone())
    }

    fn begin(&self, batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        Pass::new(batch, kinds, &self.device)
    }

    fn embed(&self, table: &Var, pass: &Pass) -> Result<Tensor> {
        Ok(self.tracked(table).index_select(&pass.ids, 0)?)
    }

    fn project<const N: usize>(&self, x: &Tensor, weights: [&Var; N]) -> Result<[Tensor; N]> {
        let weights = weights.map(|weight| self.tracked(weight));
        self.ops.project(x, weights.each_ref())
    }

    fn rms_norm(&self, x: Tensor, weight: &Var, eps: f32) -> Result<Tensor> {
        self.ops.rms_norm(x, &self.tracked(weight), eps)
    }

    fn rope(&self, x: Tensor, layer: LayerSpec, pass: &Pass) -> Result<Tensor> {
        pass.kinds[layer.kind].angles.rotate(&x)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        cache: &mut CacheShape,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Tensor> {
        let head_dim = cache.head_dim;
        let (_, width) = q.dims2()?;
        let mut outputs = Vec::with_capacity(pass.texts.len());
        for (text, mask) in pass.texts.iter().zip(&pass.kinds[layer.kind].masks) {
            let p = self.probabilities(q, k, text, mask, head_dim)?;
            let v = repeat_heads(&heads(v, text, head_dim)?, width / head_dim)?;
            let out = p.matmul(&v)?.transpose(0, 1)?;
            outputs.push(out.contiguous()?.reshape((text.len(), width))?);
        }
        Ok(Tensor::cat(&outputs, 0)?)
    }

    fn silu_mul(&self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        self.ops.silu_mul(gate, up)
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Result<Tensor> {
        self.ops.add(x, y)
    }

    fn select_outputs(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        match &pass.outputs {
            Some(rows) => Ok(x.index_select(rows, 0)?),
            None => Ok(x.narrow(0, 0, 0)?),
        }
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        self.ops.read(&x.detach(), out)
    }
}

impl TrainOps for AutogradOps {
    fn record(&mut self, record: bool) {
        self.recording = record;
    }

    fn losses(&self, logits: &Tensor, targets: &[u32]) -> Result<LossSums> {
        let (z, target_logits) = self.log_sum_exp(&logits.detach(), targets)?;
        sums(&z, &target_logits)
    }

    fn backward(&mut self, logits: Tensor, targets: &[u32], scale: LossScale) -> Result<LossSums> {
        let (z, target_logits) = self.log_sum_exp(&logits, targets)?;
        let cross_entropy = (&z - &target_logits)?.sum_all()?;
        let loss = ((cross_entropy * scale.cross_entropy as f64)?
            + (z.sqr()?.sum_all()? * scale.z_loss as f64)?)?;
        let gradients = loss.backward()?;
        for (variable, parameter) in self.variables.iter().zip(&mut self.parameters) {
            let Some(gradient) = gradients.get(variable) else { continue };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            for (total, part) in parameter.gradient.iter_mut().zip(gradient) {
                *total += part;
            }
        }
        sums(&z, &target_logits)
    }

    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()> {
        change(&mut self.parameters);
        for (variable, parameter) in self.variables.iter().zip(&self.parameters) {
            let shape = parameter.shape.as_slice();
            variable.set(&Tensor::from_slice(&parameter.value, shape, &self.device)?)?;
        }
        Ok(())
    }
}
