//! The training operations on any candle device, differentiated by candle's autograd.
//!
//! Nothing is fused: this is how a GPU trains, and on the CPU the readable twin that
//! [`FusedOps`](crate::backend::fused::FusedOps) is tested against.

use std::ops::Range;

use candle_core::{Device, Tensor, Var, D};

use super::{repeat_heads, CandleOps};
use crate::cache::CacheShape;
use crate::config::AttentionKind;
use crate::dtype::DType;
use crate::ops::Ops;
use crate::ops::{Batch, RopeTable};
use crate::ops::{LossScale, LossSums, Parameter, TrainOps};
use crate::weights::TensorData;
use crate::Result;

/// Weights are candle variables in f32; the optimizer's copy of them is on the host.
pub struct AutogradOps {
    ops: CandleOps,
    device: Device,
    weights: std::sync::Mutex<Weights>,
    recording: std::sync::atomic::AtomicBool,
}

#[derive(Default)]
struct Weights {
    variables: Vec<Var>,
    parameters: Vec<Parameter>,
}

/// The keys of the last batch, `[rows, kv_heads · head_dim]` a layer.
pub struct LastKeys {
    kv_heads: usize,
    head_dim: usize,
    keys: Vec<Option<Tensor>>,
}

impl AutogradOps {
    pub fn new(device: Device) -> AutogradOps {
        AutogradOps {
            ops: CandleOps::new(device.clone(), DType::F32),
            device,
            weights: Default::default(),
            recording: false.into(),
        }
    }

    fn weights(&self) -> std::sync::MutexGuard<'_, Weights> {
        self.weights.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn register(&self, weight: &TensorData) -> Result<Var> {
        let value = weight.to_f32();
        let variable = Var::from_slice(&value, weight.shape.as_slice(), &self.device)?;
        let mut weights = self.weights();
        weights.variables.push(variable.clone());
        weights.parameters.push(Parameter::new(&weight.name, &weight.shape, value));
        Ok(variable)
    }

    /// The weight as the next operation should see it.
    fn tracked(&self, weight: &Var) -> Tensor {
        match self.recording.load(std::sync::atomic::Ordering::Relaxed) {
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
        head_dim: usize,
    ) -> Result<Tensor> {
        let q = heads(q, rows, head_dim)?;
        let k = repeat_heads(&heads(k, rows, head_dim)?, q.dim(0)?)?;
        let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (head_dim as f64).sqrt())?;
        let n = rows.len();
        let mask: Vec<f32> = (0..n)
            .flat_map(|row| (0..n).map(move |p| if p <= row { 0.0 } else { f32::NEG_INFINITY }))
            .collect();
        let scores = scores.broadcast_add(&Tensor::from_vec(mask, (n, n), &self.device)?)?;
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
    type Cache = LastKeys;

    fn matrix(&self, weight: &TensorData) -> Result<Var> {
        self.register(weight)
    }

    fn vector(&self, weight: &TensorData) -> Result<Var> {
        self.register(weight)
    }

    fn cache(&self, shape: &CacheShape) -> Result<LastKeys> {
        let CacheShape { kv_heads, head_dim, layers, .. } = *shape;
        Ok(LastKeys { kv_heads, head_dim, keys: vec![None; layers] })
    }

    fn embed(&self, table: &Var, ids: &[u32]) -> Result<Tensor> {
        self.ops.embed(&self.tracked(table), ids)
    }

    fn project<const N: usize>(&self, x: &Tensor, weights: [&Var; N]) -> Result<[Tensor; N]> {
        let weights = weights.map(|weight| self.tracked(weight));
        self.ops.project(x, weights.each_ref())
    }

    fn rms_norm(&self, x: Tensor, weight: &Var, eps: f32) -> Result<Tensor> {
        self.ops.rms_norm(x, &self.tracked(weight), eps)
    }

    fn rope(&self, x: Tensor, table: &RopeTable, positions: &[u32]) -> Result<Tensor> {
        self.ops.rope(x, table, positions)
    }

    fn attention(
        &self,
        q: &Tensor,
        k: &Tensor,
        v: &Tensor,
        cache: &mut LastKeys,
        layer: usize,
        kind: AttentionKind,
        batch: &Batch,
    ) -> Result<Tensor> {
        let AttentionKind::Full = kind;
        let head_dim = cache.head_dim;
        debug_assert_eq!(k.dim(1)?, cache.kv_heads * head_dim);
        cache.keys[layer] = Some(k.detach());
        let (_, width) = q.dims2()?;
        let mut outputs = Vec::with_capacity(batch.spans.len());
        for span in &batch.spans {
            let p = self.probabilities(q, k, &span.rows, head_dim)?;
            let v = repeat_heads(&heads(v, &span.rows, head_dim)?, width / head_dim)?;
            let out = p.matmul(&v)?.transpose(0, 1)?;
            outputs.push(out.contiguous()?.reshape((span.rows.len(), width))?);
        }
        Ok(Tensor::cat(&outputs, 0)?)
    }

    fn attention_probabilities(
        &self,
        q: &Tensor,
        cache: &LastKeys,
        layer: usize,
        kind: AttentionKind,
        batch: &Batch,
    ) -> Result<Vec<f32>> {
        let AttentionKind::Full = kind;
        let k = cache.keys[layer].as_ref().expect("attention of this layer has run");
        let p = self.probabilities(&q.detach(), k, &batch.spans[0].rows, cache.head_dim)?;
        Ok(p.flatten_all()?.to_vec1()?)
    }

    fn silu_mul(&self, gate: Tensor, up: &Tensor) -> Result<Tensor> {
        self.ops.silu_mul(gate, up)
    }

    fn add(&self, x: Tensor, y: &Tensor) -> Result<Tensor> {
        self.ops.add(x, y)
    }

    fn select_rows(&self, x: &Tensor, rows: &[usize]) -> Result<Tensor> {
        self.ops.select_rows(x, rows)
    }

    fn read(&self, x: &Tensor, out: &mut Vec<f32>) -> Result<()> {
        self.ops.read(&x.detach(), out)
    }
}

impl TrainOps for AutogradOps {
    fn begin(&self, record: bool) {
        self.recording.store(record, std::sync::atomic::Ordering::Relaxed);
    }

    fn losses(&self, logits: &Tensor, targets: &[u32]) -> Result<LossSums> {
        let (z, target_logits) = self.log_sum_exp(&logits.detach(), targets)?;
        sums(&z, &target_logits)
    }

    fn backward(&self, logits: Tensor, targets: &[u32], scale: LossScale) -> Result<LossSums> {
        let (z, target_logits) = self.log_sum_exp(&logits, targets)?;
        let cross_entropy = (&z - &target_logits)?.sum_all()?;
        let loss = ((cross_entropy * scale.cross_entropy as f64)?
            + (z.sqr()?.sum_all()? * scale.z_loss as f64)?)?;
        let gradients = loss.backward()?;
        let Weights { variables, parameters } = &mut *self.weights();
        for (variable, parameter) in variables.iter().zip(parameters) {
            let Some(gradient) = gradients.get(variable) else { continue };
            let gradient: Vec<f32> = gradient.flatten_all()?.to_vec1()?;
            for (total, part) in parameter.gradient.iter_mut().zip(gradient) {
                *total += part;
            }
        }
        sums(&z, &target_logits)
    }

    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()> {
        let Weights { variables, parameters } = &mut *self.weights();
        change(parameters);
        for (variable, parameter) in variables.iter().zip(parameters) {
            let shape = parameter.shape.as_slice();
            variable.set(&Tensor::from_slice(&parameter.value, shape, &self.device)?)?;
        }
        Ok(())
    }
}
