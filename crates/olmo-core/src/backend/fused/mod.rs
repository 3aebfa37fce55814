//! The training operations on the CPU: f32, each with a hand-written way back.
//!
//! candle's autograd would start every gradient with zeros and add to them, in new memory, on a
//! second pool of threads. Here gradients of weights are added inside their matrix products, those
//! of activations move from operation to operation, and all memory is used again. The twin that
//! lets candle differentiate is [`AutogradOps`](crate::backend::candle::AutogradOps); the tests
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

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::Arc;

use self::attention::Shape;
use self::buffer::{Buffer, Pool};
use self::rope::Angles;
pub use self::tape::Value;
use self::tape::{Id, Step, Tape};
use crate::cache::CacheShape;
use crate::config::AttentionKind;
use crate::ops::Ops;
use crate::ops::{Batch, RopeTable};
use crate::ops::{LossScale, LossSums, Parameter, TrainOps};
use crate::weights::TensorData;
use crate::Result;

#[derive(Default)]
pub struct FusedOps {
    parameters: RefCell<Vec<Parameter>>,
    tape: RefCell<Tape>,
    recording: Cell<bool>,
    pool: Pool,
}

/// Number of a parameter.
#[derive(Debug, Clone, Copy)]
pub struct Weight(usize);

/// The keys of the last batch, for [`Ops::attention_probabilities`]; nothing outlives a batch.
pub struct LastKeys {
    kv_heads: usize,
    head_dim: usize,
    keys: Vec<Option<Value>>,
}

impl FusedOps {
    pub fn new() -> FusedOps {
        FusedOps::default()
    }

    fn register(&self, weight: &TensorData) -> Weight {
        let mut parameters = self.parameters.borrow_mut();
        parameters.push(Parameter::new(&weight.name, &weight.shape, weight.to_f32()));
        Weight(parameters.len() - 1)
    }

    /// Names a new activation.
    fn value(&self, data: Arc<Buffer>, width: usize) -> Value {
        let mut tape = self.tape.borrow_mut();
        tape.values += 1;
        Value { id: tape.values - 1, width, data }
    }

    fn record(&self, step: impl FnOnce() -> Step) {
        if self.recording.get() {
            let step = step();
            self.tape.borrow_mut().steps.push(step);
        }
    }

    /// An activation's memory, to be changed in place; a copy if something else still needs it.
    fn own(&self, data: Arc<Buffer>) -> Buffer {
        Arc::try_unwrap(data).unwrap_or_else(|shared| self.pool.copy(&shared))
    }

    fn project_one(&self, x: &Value, weight: Weight) -> Value {
        let y = {
            let w = &self.parameters.borrow()[weight.0];
            let rows = x.data.len() / x.width;
            let mut y = self.pool.take(rows * w.shape[0]);
            matmul::forward(&mut y, &x.data, &w.value, x.width);
            self.value(Arc::new(y), w.shape[0])
        };
        self.record(|| Step::Project { x: x.clone(), weight: weight.0, output: y.id });
        y
    }
}

/// The rows of each text of a batch.
fn spans(batch: &Batch) -> Vec<Range<usize>> {
    debug_assert!(batch.spans.iter().all(|span| span.start == 0));
    batch.spans.iter().map(|span| span.rows.clone()).collect()
}

impl Ops for FusedOps {
    type Tensor = Value;
    type Matrix = Weight;
    type Vector = Weight;
    type Cache = LastKeys;

    fn matrix(&self, weight: &TensorData) -> Result<Weight> {
        Ok(self.register(weight))
    }

    fn vector(&self, weight: &TensorData) -> Result<Weight> {
        Ok(self.register(weight))
    }

    fn cache(&self, shape: &CacheShape) -> Result<LastKeys> {
        let CacheShape { kv_heads, head_dim, layers, .. } = *shape;
        Ok(LastKeys { kv_heads, head_dim, keys: vec![None; layers] })
    }

    fn embed(&self, table: &Weight, ids: &[u32]) -> Result<Value> {
        let x = {
            let weight = &self.parameters.borrow()[table.0];
            let width = weight.shape[1];
            let mut x = self.pool.take(ids.len() * width);
            let rows = ids.iter().map(|&id| id as usize);
            elementwise::gather(&mut x, &weight.value, rows, width);
            self.value(Arc::new(x), width)
        };
        self.record(|| Step::Embed { table: table.0, ids: ids.to_vec(), output: x.id });
        Ok(x)
    }

    fn project<const N: usize>(&self, x: &Value, weights: [&Weight; N]) -> Result<[Value; N]> {
        Ok(weights.map(|weight| self.project_one(x, *weight)))
    }

    fn rms_norm(&self, x: Value, weight: &Weight, eps: f32) -> Result<Value> {
        let mut y = self.pool.take(x.data.len());
        let mut scales = self.pool.take(x.data.len() / x.width);
        let w = &self.parameters.borrow()[weight.0].value;
        rms_norm::forward(&mut y, &mut scales, &x.data, w, eps);
        let y = self.value(Arc::new(y), x.width);
        self.record(|| Step::RmsNorm { x, weight: weight.0, scales, output: y.id });
        Ok(y)
    }

    fn rope(&self, x: Value, table: &RopeTable, positions: &[u32]) -> Result<Value> {
        let Value { id, width, data } = x;
        let angles = Angles::new(table, positions);
        let mut y = self.own(data);
        rope::rotate(&mut y, width, &angles, 1.0);
        let y = self.value(Arc::new(y), width);
        self.record(|| Step::Rope { x: id, width, angles, output: y.id });
        Ok(y)
    }

    fn attention(
        &self,
        q: &Value,
        k: &Value,
        v: &Value,
        cache: &mut LastKeys,
        layer: usize,
        kind: AttentionKind,
        batch: &Batch,
    ) -> Result<Value> {
        let AttentionKind::Full = kind;
        let shape = cache.shape(q);
        cache.keys[layer] = Some(k.clone());
        let spans = spans(batch);
        let mut out = self.pool.take(q.data.len());
        attention::forward(&self.pool, &mut out, [&q.data, &k.data, &v.data], &spans, shape);
        let out = self.value(Arc::new(out), q.width);
        self.record(|| {
            let qkv = [q.clone(), k.clone(), v.clone()];
            Step::Attention { qkv, spans, shape, output: out.id }
        });
        Ok(out)
    }

    fn attention_probabilities(
        &self,
        q: &Value,
        cache: &LastKeys,
        layer: usize,
        kind: AttentionKind,
        batch: &Batch,
    ) -> Result<Vec<f32>> {
        let AttentionKind::Full = kind;
        let k = cache.keys[layer].as_ref().expect("attention of this layer has run");
        let (span, shape) = (&spans(batch)[0], cache.shape(q));
        Ok(attention::first_span_probabilities(&self.pool, &q.data, &k.data, span, shape))
    }

    fn silu_mul(&self, gate: Value, up: &Value) -> Result<Value> {
        let mut y = self.pool.take(up.data.len());
        swiglu::forward(&mut y, &gate.data, &up.data);
        let y = self.value(Arc::new(y), up.width);
        self.record(|| Step::SiluMul { gate, up: up.clone(), output: y.id });
        Ok(y)
    }

    fn add(&self, x: Value, y: &Value) -> Result<Value> {
        let Value { id, width, data } = x;
        let mut sum = self.own(data);
        elementwise::add(&mut sum, &y.data);
        let sum = self.value(Arc::new(sum), width);
        self.record(|| Step::Add { x: id, y: y.id, output: sum.id });
        Ok(sum)
    }

    fn select_rows(&self, x: &Value, rows: &[usize]) -> Result<Value> {
        let mut y = self.pool.take(rows.len() * x.width);
        elementwise::gather(&mut y, &x.data, rows.iter().copied(), x.width);
        let y = self.value(Arc::new(y), x.width);
        self.record(|| Step::SelectRows {
            x: x.id,
            x_len: x.data.len(),
            width: x.width,
            rows: rows.to_vec(),
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

impl LastKeys {
    fn shape(&self, q: &Value) -> Shape {
        Shape { heads: q.width / self.head_dim, kv_heads: self.kv_heads, head_dim: self.head_dim }
    }
}

impl TrainOps for FusedOps {
    fn begin(&self, record: bool) {
        *self.tape.borrow_mut() = Tape::default();
        self.recording.set(record);
    }

    fn losses(&self, logits: &Value, targets: &[u32]) -> Result<LossSums> {
        Ok(cross_entropy::sums(&logits.data, targets, logits.width))
    }

    fn backward(&self, logits: Value, targets: &[u32], scale: LossScale) -> Result<LossSums> {
        let Value { id, width, data } = logits;
        let id: Id = id;
        let mut gradient = self.own(data);
        let sums = cross_entropy::gradient(&mut gradient, targets, width, scale);
        let mut parameters = self.parameters.borrow_mut();
        self.tape.borrow_mut().backward(&self.pool, &mut parameters, id, gradient);
        Ok(sums)
    }

    fn parameters(&mut self, change: &mut dyn FnMut(&mut [Parameter])) -> Result<()> {
        change(self.parameters.get_mut());
        Ok(())
    }
}
