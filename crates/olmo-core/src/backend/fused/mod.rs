//! The training operations on the CPU: f32, each with a hand-written way back.
//!
//! candle's autograd would start every gradient with zeros and add to them, in new memory, on a
//! second pool of threads. Here gradients of weights are added inside their matrix products, those
//! of activations move from operation to operation, and all memory is used again. The twin that
//! lets candle differentiate is `AutogradOps` of `backend/candle`; the tests
//! hold one against the other.
//!
//! Work is shared out among the threads of the current rayon pool. Sums are cut at fixed places,
//! so the same thread count gives the same bits.

mod attention;
mod buffer;
mod cross_entropy;
mod elementwise;
mod matmul;
mod rms_norm;
mod rope;
pub(crate) mod simd;
mod swiglu;
mod tape;

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;

use self::attention::Shape;
use self::buffer::{Buffer, Pool};
use self::rope::Angles;
pub use self::tape::Value;
use self::tape::{Id, Step, Tape};
use crate::cache::CacheShape;
use crate::config::AttentionKind;
use crate::ops::{Batch, LayerKind, LayerSpec, LossScale, LossSums, Ops, Parameter, TrainOps};
use crate::weights::TensorData;
use crate::{Error, Result};

#[derive(Default)]
pub struct FusedOps {
    parameters: Vec<Parameter>,
    tape: RefCell<Tape>,
    recording: bool,
    pool: Pool,
}

/// Number of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct Weight(usize);

/// What steps of every layer need of a batch. The tape shares it with the pass.
pub struct Pass {
    ids: Arc<[u32]>,
    outputs: Arc<[usize]>,
    /// The rows of each text. Texts begin in the batch, so the cache holds nothing of them.
    texts: Arc<[Range<usize>]>,
    /// For each kind of attention.
    angles: Vec<Arc<Angles>>,
}

impl Pass {
    fn new(batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        debug_assert!(batch.spans.iter().all(|span| span.start == 0));
        let angles = |kind: &LayerKind| match kind.attention {
            AttentionKind::Full => Ok(Arc::new(Angles::new(&kind.rope, &batch.positions))),
            kind => Err(Error::Internal(format!("{kind:?} attention has no way back here"))),
        };
        Ok(Pass {
            ids: batch.tokens[..].into(),
            outputs: batch.outputs[..].into(),
            texts: batch.spans.iter().map(|span| span.rows.clone()).collect(),
            angles: kinds.iter().map(angles).collect::<Result<_>>()?,
        })
    }
}

impl FusedOps {
    pub fn new() -> FusedOps {
        FusedOps::default()
    }

    fn register(&mut self, weight: &TensorData) -> Weight {
        self.parameters.push(Parameter::new(&weight.name, &weight.shape, weight.to_f32()));
        Weight(self.parameters.len() - 1)
    }

    /// Names a new activation.
    fn value(&self, data: Arc<Buffer>, width: usize) -> Value {
        let mut tape = self.tape.borrow_mut();
        tape.values += 1;
        Value { id: tape.values - 1, width, data }
    }

    fn push_step(&self, step: impl FnOnce() -> Step) {
        if self.recording {
            let step = step();
            self.tape.borrow_mut().steps.push(step);
        }
    }

    /// An activation's memory, to be changed in place; a copy if something else still needs it.
    fn own(&self, data: Arc<Buffer>) -> Buffer {
        Arc::try_unwrap(data).unwrap_or_else(|shared| self.pool.copy(&shared))
    }

    fn project_one(&self, x: &Value, weight: Weight) -> Value {
        let w = &self.parameters[weight.0];
        let rows = x.data.len() / x.width;
        let mut y = self.pool.take(rows * w.shape[0]);
        matmul::forward(&mut y, &x.data, &w.value, x.width);
        let y = self.value(Arc::new(y), w.shape[0]);
        self.push_step(|| Step::Project { x: x.clone(), weight: weight.0, output: y.id });
        y
    }
}

impl Ops for FusedOps {
    type Tensor = Value;
    type Matrix = Weight;
    type Vector = Weight;
    /// Nothing is kept after a pass: this only says how wide the heads are.
    type Cache = CacheShape;
    type Pass<'a> = Pass;

    fn matrix(&mut self, weight: &TensorData) -> Result<Weight> {
        Ok(self.register(weight))
    }

    fn vector(&mut self, weight: &TensorData) -> Result<Weight> {
        Ok(self.register(weight))
    }

    fn cache(&self, shape: &CacheShape) -> Result<CacheShape> {
        Ok(shape.clone())
    }

    fn begin(&self, batch: &Batch, kinds: &[LayerKind]) -> Result<Pass> {
        Pass::new(batch, kinds)
    }

    fn embed(&self, table: &Weight, pass: &Pass) -> Result<Value> {
        let weight = &self.parameters[table.0];
        let width = weight.shape[1];
        let mut x = self.pool.take(pass.ids.len() * width);
        let rows = pass.ids.iter().map(|&id| id as usize);
        elementwise::gather(&mut x, &weight.value, rows, width);
        let x = self.value(Arc::new(x), width);
        self.push_step(|| Step::Embed { table: table.0, ids: pass.ids.clone(), output: x.id });
        Ok(x)
    }

    fn project<const N: usize>(&self, x: &Value, weights: [&Weight; N]) -> Result<[Value; N]> {
        Ok(weights.map(|weight| self.project_one(x, *weight)))
    }

    fn rms_norm(&self, x: Value, weight: &Weight, eps: f32) -> Result<Value> {
        let mut y = self.pool.take(x.data.len());
        let mut scales = self.pool.take(x.data.len() / x.width);
        let w = &self.parameters[weight.0].value;
        rms_norm::forward(&mut y, &mut scales, &x.data, w, eps);
        let y = self.value(Arc::new(y), x.width);
        self.push_step(|| Step::RmsNorm { x, weight: weight.0, scales, output: y.id });
        Ok(y)
    }

    fn rope(&self, x: Value, layer: LayerSpec, pass: &Pass) -> Result<Value> {
        let Value { id, width, data } = x;
        let angles = pass.angles[layer.kind].clone();
        let mut y = self.own(data);
        rope::rotate(&mut y, width, &angles, 1.0);
        let y = self.value(Arc::new(y), width);
        self.push_step(|| Step::Rope { x: id, width, angles, output: y.id });
        Ok(y)
    }

    fn attention(
        &self,
        q: &Value,
        k: &Value,
        v: &Value,
        cache: &mut CacheShape,
        _layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Value> {
        let &mut CacheShape { kv_heads, head_dim, .. } = cache;
        let shape = Shape { heads: q.width / head_dim, kv_heads, head_dim };
        let mut out = self.pool.take(q.data.len());
        attention::forward(&self.pool, &mut out, [&q.data, &k.data, &v.data], &pass.texts, shape);
        let out = self.value(Arc::new(out), q.width);
        self.push_step(|| {
            let qkv = [q.clone(), k.clone(), v.clone()];
            Step::Attention { qkv, spans: pass.texts.clone(), shape, output: out.id }
        });
        Ok(out)
    }

    fn silu_mul(&self, gate: Value, up: &Value) -> Result<Value> {
        let mut y = self.pool.take(up.data.len());
        swiglu::forward(&mut y, &gate.data, &up.data);
        let y = self.value(Arc::new(y), up.width);
        self.push_step(|| Step::SiluMul { gate, up: up.clone(), output: y.id });
        Ok(y)
    }

    fn add(&self, x: Value, y: &Value) -> Result<Value> {
        let Value { id, width, data } = x;
        let mut sum = self.own(data);
        elementwise::add(&mut sum, &y.data);
        let sum = self.value(Arc::new(sum), width);
        self.push_step(|| Step::Add { x: id, y: y.id, output: sum.id });
        Ok(sum)
    }

    fn select_outputs(&self, x: &Value, pass: &Pass) -> Result<Value> {
        let mut y = self.pool.take(pass.outputs.len() * x.width);
        elementwise::gather(&mut y, &x.data, pass.outputs.iter().copied(), x.width);
        let y = self.value(Arc::new(y), x.width);
        self.push_step(|| Step::SelectRows {
            x: x.id,
            x_len: x.data.len(),
            width: x.width,
            rows: pass.outputs.clone(),
            output: y.id,
        });
        Ok(y)
    }

    fn read(&self, x: &Value, out: &mut Vec<f32>) -> Result<()> {
        out.clear();
        out.extend_from_slice(&x.data);
        Ok(())
    }
}

impl TrainOps for FusedOps {
    fn record(&mut self, record: bool) {
        *self.tape.get_mut() = Tape::default();
        self.recording = record;
    }

    fn losses(&self, logits: &Value, targets: &[u32]) -> Result<LossSums> {
        Ok(cross_entropy::sums(&logits.data, targets, logits.width))
    }

    fn backward(&mut self, logits: Value, targets: &[u32], scale: LossScale) -> Result<LossSums> {
        let Value { id, width, data } = logits;
        let id: Id = id;
        let mut gradient = self.own(data);
        let sums = cross_entropy::gradient(&mut gradient, targets, width, scale);
        self.tape.get_mut().backward(&self.pool, &mut self.parameters, id, gradient);
        Ok(sums)
    }

    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()> {
        change(&mut self.parameters);
        Ok(())
    }
}
