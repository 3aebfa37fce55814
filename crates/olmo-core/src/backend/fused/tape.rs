//! What a forward pass did, and the way back over it.

use std::ops::Range;
use std::sync::Arc;

use super::attention::{self, Shape};
use super::buffer::{Buffer, Pool};
use super::rope::{self, Angles};
use super::{elementwise, matmul, rms_norm, swiglu};
use crate::ops::Parameter;

/// The number of an activation, in the order in which they were computed.
pub(super) type Id = usize;

/// An activation `[rows, width]`.
#[derive(Clone)]
pub struct Value {
    pub(super) id: Id,
    pub(super) width: usize,
    pub(super) data: Arc<Buffer>,
}

/// One operation, with what its gradient needs of the forward pass. Weights are numbers of
/// parameters.
pub(super) enum Step {
    Embed { table: usize, ids: Arc<[u32]>, output: Id },
    Project { x: Value, weight: usize, output: Id },
    RmsNorm { x: Value, weight: usize, scales: Buffer, output: Id },
    Rope { x: Id, width: usize, angles: Arc<Angles>, output: Id },
    Attention { qkv: [Value; 3], spans: Arc<[Range<usize>]>, shape: Shape, output: Id },
    SiluMul { gate: Value, up: Value, output: Id },
    Add { x: Id, y: Id, output: Id },
    SelectRows { x: Id, x_len: usize, width: usize, rows: Arc<[usize]>, output: Id },
}

#[derive(Default)]
pub(super) struct Tape {
    pub(super) steps: Vec<Step>,
    pub(super) values: usize,
}

impl Tape {
    /// Adds the gradient of every weight, given that of the pass's result.
    pub(super) fn backward(
        &mut self,
        pool: &Pool,
        parameters: &mut [Parameter],
        result: Id,
        gradient: Buffer,
    ) {
        let mut gradients = Gradients::new(pool, self.values);
        gradients.slots[result] = Some(Arc::new(gradient));
        while let Some(step) = self.steps.pop() {
            step.backward(parameters, &mut gradients);
        }
        self.values = 0;
    }
}

/// Gradients of activations on their way back. An activation that feeds several operations
/// gathers one from each; the sum of a residual hands the same one to both sides, so they are
/// shared until somebody changes them.
struct Gradients<'a> {
    pool: &'a Pool,
    slots: Vec<Option<Arc<Buffer>>>,
}

impl Gradients<'_> {
    fn new(pool: &Pool, values: usize) -> Gradients<'_> {
        Gradients { pool, slots: vec![None; values] }
    }

    /// The gradient of an activation all of whose users have been passed.
    fn take(&mut self, id: Id) -> Arc<Buffer> {
        self.slots[id].take().expect("every activation leads to the result")
    }

    /// The same, to be changed in place.
    fn take_owned(&mut self, id: Id) -> Buffer {
        let gradient = self.take(id);
        self.own(gradient)
    }

    fn own(&self, gradient: Arc<Buffer>) -> Buffer {
        Arc::try_unwrap(gradient).unwrap_or_else(|shared| self.pool.copy(&shared))
    }

    fn add(&mut self, id: Id, gradient: Arc<Buffer>) {
        let sum = match self.slots[id].take() {
            None => gradient,
            Some(earlier) => {
                let mut sum = self.own(earlier);
                elementwise::add(&mut sum, &gradient);
                Arc::new(sum)
            }
        };
        self.slots[id] = Some(sum);
    }
}

fn project_backward(x: &Value, weight: &mut Parameter, output: Id, gradients: &mut Gradients) {
    let dy = gradients.take(output);
    matmul::weight_gradient(&mut weight.gradient, &dy, &x.data, x.width);
    // Adds to the gradient from x's other users inside the product itself.
    let (mut dx, add) = match gradients.slots[x.id].take() {
        Some(earlier) => (gradients.own(earlier), true),
        None => (gradients.pool.take(x.data.len()), false),
    };
    matmul::input_gradient(&mut dx, add, &dy, &weight.value, x.width);
    gradients.slots[x.id] = Some(Arc::new(dx));
}

impl Step {
    fn backward(self, parameters: &mut [Parameter], gradients: &mut Gradients) {
        let pool = gradients.pool;
        match self {
            Step::Embed { table, ids, output } => {
                let dy = gradients.take(output);
                let rows = ids.iter().map(|&id| id as usize);
                let table = &mut parameters[table].gradient;
                elementwise::scatter_add(table, &dy, rows, dy.len() / ids.len());
            }
            Step::Project { x, weight, output } => {
                project_backward(&x, &mut parameters[weight], output, gradients);
            }
            Step::RmsNorm { x, weight, scales, output } => {
                let mut dy = gradients.take_owned(output);
                let weight = &mut parameters[weight];
                rms_norm::backward(&mut dy, &mut weight.gradient, &x.data, &scales, &weight.value);
                gradients.add(x.id, Arc::new(dy));
            }
            Step::Rope { x, width, angles, output } => {
                let mut dy = gradients.take_owned(output);
                rope::rotate(&mut dy, width, &angles, -1.0);
                gradients.add(x, Arc::new(dy));
            }
            Step::Attention { qkv, spans, shape, output } => {
                let dout = gradients.take(output);
                let mut d = qkv.each_ref().map(|x| pool.take(x.data.len()));
                let [dq, dk, dv] = &mut d;
                let values = qkv.each_ref().map(|x| &x.data[..]);
                attention::backward(pool, [dq, dk, dv], &dout, values, &spans, shape);
                for (x, d) in qkv.iter().zip(d) {
                    gradients.add(x.id, Arc::new(d));
                }
            }
            Step::SiluMul { gate, up, output } => {
                let dy = gradients.take(output);
                let (mut dgate, mut dup) = (pool.take(dy.len()), pool.take(dy.len()));
                swiglu::backward(&mut dgate, &mut dup, &dy, &gate.data, &up.data);
                gradients.add(gate.id, Arc::new(dgate));
                gradients.add(up.id, Arc::new(dup));
            }
            Step::Add { x, y, output } => {
                let dy = gradients.take(output);
                gradients.add(x, dy.clone());
                gradients.add(y, dy);
            }
            Step::SelectRows { x, x_len, width, rows, output } => {
                let dy = gradients.take(output);
                let mut dx = pool.take(x_len);
                dx.fill(0.0);
                elementwise::scatter_add(&mut dx, &dy, rows.iter().copied(), width);
                gradients.add(x, Arc::new(dx));
            }
        }
    }
}
