//! Cooperative matrices: small products that a GPU computes in units of their own, in f16 with sums in f32.
//!
//! wgpu counts them as experimental, and drivers differ. So none is used unseen: products of random numbers must agree
//! with those of the plain kernel, first on a device that is opened for this alone, and on the model's own for each type
//! of weights. Where they do not, the plain kernel computes.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use pollster::block_on;
use wgpu::{ErrorFilter, Features};

use super::gpu::Gpu;
use super::kernels::{Kernel, COOPERATIVE_OUTPUTS, COOPERATIVE_ROWS};
use super::matrix::Matrix;
use super::project::Tiles;
use super::slice::Tensor;
use crate::device::Adapter;
use crate::dtype::{DType, TensorType};
use crate::{panics, Error, Result};

/// Subgroups that share a tile.
const SUBGROUPS: u32 = 4;

/// Numbers from one line in shared memory to the next, of which a line has 32: lines beside each other begin in other banks.
const STRIDE: u32 = 40;

/// What the kernel's shared memory takes: activations twice and weights in f16, and pieces of the result in f32.
const SHARED_BYTES: u32 = 2 * STRIDE * (2 * COOPERATIVE_ROWS + COOPERATIVE_OUTPUTS) as u32
    + 4 * SUBGROUPS * LARGEST_SIDE * LARGEST_SIDE;
const LARGEST_SIDE: u32 = 16;

/// The kind of cooperative matrices that a kernel uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Units {
    /// Rows and columns of a matrix.
    pub side: u32,
    /// Invocations of a workgroup: four subgroups of the largest size.
    pub size: u32,
}

impl Units {
    /// Features that a device needs for them.
    pub const FEATURES: Features = Features::EXPERIMENTAL_COOPERATIVE_MATRIX
        .union(Features::SHADER_F16)
        .union(Features::SUBGROUP);

    /// None if the GPU has none that the kernel can use.
    fn of(adapter: &Adapter) -> Option<Units> {
        let side = adapter.cooperative_side()?;
        let inner = adapter.inner();
        let (limits, size) = (inner.limits(), SUBGROUPS * inner.get_info().subgroup_max_size);
        let most = limits.max_compute_invocations_per_workgroup;
        let fits = inner.features().contains(Units::FEATURES)
            && size <= most.min(limits.max_compute_workgroup_size_x)
            && SHARED_BYTES <= limits.max_compute_workgroup_storage_size;
        fits.then_some(Units { side, size })
    }

    /// The head of a kernel that uses them.
    pub fn constants(self) -> String {
        let Units { side, size } = self;
        let matrix = format!("coop_mat{side}x{side}");
        format!(
            "enable f16;
            enable wgpu_cooperative_matrix;
            alias Left = {matrix}<f16, A>;
            alias Right = {matrix}<f16, B>;
            alias Sums = {matrix}<f32, C>;
            const SIDE = {side}u;
            const SIZE = {size}u;
            const STRIDE = {STRIDE}u;
            const ROWS = {COOPERATIVE_ROWS}u;
            const OUTPUTS = {COOPERATIVE_OUTPUTS}u;"
        )
    }
}

/// What an adapter's cooperative matrices can be used for: None if it has none, an error if they were tried and do not do.
pub fn verdict(adapter: &Adapter) -> Option<std::result::Result<(), String>> {
    units(adapter).map(|found| found.map(drop))
}

/// The same with what kernels need. An adapter is tried once in a process.
pub(super) fn units(adapter: &Adapter) -> Option<std::result::Result<Units, String>> {
    type Verdicts = HashMap<String, std::result::Result<Units, String>>;
    static VERDICTS: Mutex<Option<Verdicts>> = Mutex::new(None);
    let units = Units::of(adapter)?;
    let mut verdicts = VERDICTS.lock().unwrap_or_else(PoisonError::into_inner);
    let key = format!("{} {} {}", adapter.name, adapter.api, adapter.driver);
    let tried = verdicts.get_or_insert_default().entry(key).or_insert_with(|| {
        let found = panics::catch(|| try_alone(adapter, units));
        found.unwrap_or_else(|said| Err(format!("the driver fails ({said})")))
    });
    Some(tried.clone())
}

/// On a device of their own, so that what they break is not the model's.
fn try_alone(adapter: &Adapter, units: Units) -> std::result::Result<Units, String> {
    let gpu = Gpu::open(adapter, Some(units)).map_err(|error| error.to_string())?;
    agree(&gpu, units, TensorType::Float(DType::F16)).map(|()| units)
}

/// The cooperative matrices of a device that is open.
pub(super) struct Cooperative {
    units: Cell<Option<Units>>,
    /// Types of weights that were tried, and whether the products agreed.
    tried: RefCell<HashMap<TensorType, bool>>,
}

impl Cooperative {
    pub fn new(units: Option<Units>) -> Cooperative {
        Cooperative { units: Cell::new(units), tried: RefCell::default() }
    }

    /// Leaves all products to the plain kernel.
    pub fn forgo(&self) {
        self.units.set(None);
    }

    /// What multiplies weights of this type, if something does.
    pub fn with(&self, kind: TensorType) -> Option<Units> {
        self.units.get().filter(|_| self.tried.borrow().get(&kind) == Some(&true))
    }
}

impl Gpu {
    /// Tries cooperative matrices for a type of weights, once.
    pub fn try_cooperative(&self, kind: TensorType) {
        let Cooperative { units, tried } = &self.cooperative;
        let Some(units) = units.get().filter(|_| is_of_use(kind)) else { return };
        if !tried.borrow().contains_key(&kind) {
            let agrees = agree(self, units, kind).is_ok();
            tried.borrow_mut().insert(kind, agrees);
        }
    }

    /// What multiplies many rows, which are whole units if they are wide.
    pub fn tiles(&self, kind: TensorType, is_wide: bool) -> Tiles {
        match self.cooperative.with(kind).filter(|_| is_wide) {
            Some(units) => Tiles::cooperative(kind, units),
            None => Tiles::plain(kind, is_wide),
        }
    }
}

/// f32 weights would lose what they are in f32 for.
fn is_of_use(kind: TensorType) -> bool {
    kind != TensorType::Float(DType::F32)
}

/// Rows, outputs and inputs of the products that are tried: more than one tile of each, and parts of one.
const ROWS: usize = 70;
const OUTPUTS: usize = 150;
const INPUTS: usize = 768;

/// Of the largest result. Weights in blocks are rounded to f16, others are not.
fn tolerance(kind: TensorType) -> f32 {
    match kind {
        TensorType::Float(_) => 1e-4,
        TensorType::Block(_) => 1e-3,
    }
}

/// Whether both kernels give the same, or why not.
fn agree(gpu: &Gpu, units: Units, kind: TensorType) -> std::result::Result<(), String> {
    let scopes = [ErrorFilter::Internal, ErrorFilter::OutOfMemory, ErrorFilter::Validation]
        .map(|filter| gpu.device.push_error_scope(filter));
    let both = products(gpu, units, kind);
    let errors = scopes.into_iter().rev().map(|scope| block_on(scope.pop()));
    let error = errors.fold(None, |first, error| first.or(error));
    if let Some(error) = error {
        gpu.programs.borrow_mut().remove(&Kernel::ProjectCooperative(kind, units));
        return Err(format!("the driver refuses them ({error})"));
    }
    let [expected, got] = both.map_err(|error| error.to_string())?;
    let largest = expected.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
    let differences = expected.iter().zip(&got).map(|(expected, got)| (expected - got).abs());
    // One that is no number is larger than all others.
    let difference = differences.fold(0.0, |most, x| if x <= most { most } else { x });
    match difference <= tolerance(kind) * largest {
        true => Ok(()),
        false => Err(format!(
            "their products with {} differ by {difference:e} of {largest:e}",
            kind.name()
        )),
    }
}

/// The same product by the plain kernel and by cooperative matrices.
fn products(gpu: &Gpu, units: Units, kind: TensorType) -> Result<[Vec<f32>; 2]> {
    let mut state = 1u64;
    let mut number = || {
        // An LCG's high bits (Knuth's MMIX), between -1 and 1.
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 23) as f32 - 1.0
    };
    let weights: Vec<f32> = (0..OUTPUTS * INPUTS).map(|_| number()).collect();
    let matrix = Matrix::of_numbers(gpu, kind, &weights, INPUTS)?;
    // Of sizes that differ as those of activations do.
    let inputs = (0..ROWS * INPUTS).map(|i| number() * [1.0, 0.01, 30.0][i % 3]);
    let words: Vec<u32> = inputs.map(f32::to_bits).collect();
    let [x]: [Tensor; 1] = gpu.tensors(ROWS, [INPUTS])?;
    gpu.write(x.buffer(), 0, &words)?;
    let by = |tiles: Tiles| {
        let y = gpu.project_tiles(&x, &matrix, tiles)?;
        let mut found = Vec::new();
        gpu.read_into(&mut found, y.buffer(), [y.first, ROWS * OUTPUTS], f32::from_bits)?;
        match found.len() {
            count if count == ROWS * OUTPUTS => Ok(found),
            count => Err(Error::Internal(format!("{count} products"))),
        }
    };
    Ok([by(Tiles::plain(kind, true))?, by(Tiles::cooperative(kind, units))?])
}

#[cfg(test)]
mod tests {
    use super::super::kernels::SUBGROUPS as SUMS;
    use super::*;
    use crate::quant::BlockType;

    /// Sources become what the drivers of Vulkan and Metal are given, for every type of weights and both sizes.
    #[test]
    fn kernels_are_valid_for_every_type_of_weights() {
        use naga::valid::{Capabilities, ValidationFlags, Validator};
        let capabilities = Capabilities::COOPERATIVE_MATRIX
            | Capabilities::SHADER_FLOAT16
            | Capabilities::SHADER_FLOAT16_IN_FLOAT32
            | Capabilities::SUBGROUP;
        let floats = DType::ALL.map(TensorType::Float).into_iter();
        let kinds = floats.chain(BlockType::ALL.map(TensorType::Block));
        for (kind, side) in kinds.flat_map(|kind| [(kind, 8), (kind, 16)]) {
            let kernel = Kernel::ProjectCooperative(kind, Units { side, size: 128 });
            let source = kernel.source(&SUMS);
            let module = naga::front::wgsl::parse_str(&source)
                .unwrap_or_else(|error| panic!("{kernel:?}: {}", error.emit_to_string(&source)));
            let mut validator = Validator::new(ValidationFlags::all(), capabilities);
            let info = validator
                .validate(&module)
                .unwrap_or_else(|error| panic!("{kernel:?}: {}", error.emit_to_string(&source)));
            let spirv = naga::back::spv::Options { lang_version: (1, 6), ..Default::default() };
            let words = naga::back::spv::write_vec(&module, &info, &spirv, None).expect("SPIR-V");
            assert!(words.len() > 100);
            let metal = naga::back::msl::Options {
                lang_version: (2, 3),
                fake_missing_bindings: true,
                ..Default::default()
            };
            let (text, _) =
                naga::back::msl::write_string(&module, &info, &metal, &Default::default())
                    .expect("Metal's language");
            assert!(text.contains("simdgroup_multiply_accumulate"), "{text}");
        }
    }
}
