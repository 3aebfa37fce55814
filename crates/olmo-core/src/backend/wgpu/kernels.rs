//! The kernels: which there are, and what their sources are put together from.

use wgpu::{
    ComputePipeline, ComputePipelineDescriptor, Device, PipelineCompilationOptions,
    ShaderModuleDescriptor, ShaderSource,
};

use crate::cache::CacheDType;
use crate::dtype::{DType, TensorType};
use crate::quant::BlockType;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Embed(TensorType),
    /// A product with a few rows, up to [`MOST_ROWS`].
    ProjectRows(TensorType, u32),
    ProjectTiles(TensorType),
    RmsNorm,
    Rope,
    Store(CacheDType),
    Attention(CacheDType),
    SiluMul,
    Add,
    Select,
}

/// Rows that [`Kernel::ProjectRows`] takes.
pub(super) const MOST_ROWS: usize = 8;

/// Rows and outputs of a workgroup of [`Kernel::ProjectTiles`].
pub(super) const TILE: usize = 64;

/// Invocations of a workgroup of the kernels that compute a number each.
pub(super) const SIZE: usize = 64;

impl Kernel {
    /// Parts of the source, one after the other.
    fn source(self) -> Vec<&'static str> {
        match self {
            Kernel::Embed(kind) => with_weights(kind, include_str!("shaders/embed.wgsl")),
            Kernel::ProjectRows(kind, _) => {
                with_weights(kind, include_str!("shaders/project_rows.wgsl"))
            }
            Kernel::ProjectTiles(kind) => {
                with_weights(kind, include_str!("shaders/project_tiles.wgsl"))
            }
            Kernel::RmsNorm => vec![include_str!("shaders/rms_norm.wgsl")],
            Kernel::Rope => vec![include_str!("shaders/rope.wgsl")],
            Kernel::Store(dtype) => {
                let [read, write] = cache(dtype);
                vec![read, write, include_str!("shaders/store.wgsl")]
            }
            Kernel::Attention(dtype) => {
                vec![cache(dtype)[0], include_str!("shaders/attention.wgsl")]
            }
            Kernel::SiluMul => vec![include_str!("shaders/silu_mul.wgsl")],
            Kernel::Add => vec![include_str!("shaders/add.wgsl")],
            Kernel::Select => vec![include_str!("shaders/select.wgsl")],
        }
    }

    pub fn compile(self, device: &Device) -> ComputePipeline {
        let name = format!("{self:?}");
        let module = device.create_shader_module(ShaderModuleDescriptor {
            label: Some(&name),
            source: ShaderSource::Wgsl(self.source().join("\n").into()),
        });
        let rows = match self {
            Kernel::ProjectRows(_, rows) => f64::from(rows),
            _ => 0.0,
        };
        let constants = [("ROWS", rows)];
        let constants = if rows > 0.0 { &constants[..] } else { &[] };
        device.create_compute_pipeline(&ComputePipelineDescriptor {
            label: Some(&name),
            layout: None,
            module: &module,
            entry_point: Some("main"),
            compilation_options: PipelineCompilationOptions { constants, ..Default::default() },
            cache: None,
        })
    }
}

/// A kernel that reads weights, with what reads those of one type.
fn with_weights(kind: TensorType, kernel: &'static str) -> Vec<&'static str> {
    let unit = include_str!("shaders/weights/unit.wgsl");
    let blocks = include_str!("shaders/weights/blocks.wgsl");
    let block = |weights| vec![unit, blocks, weights, kernel];
    match kind {
        TensorType::Float(DType::F32) => {
            vec![unit, include_str!("shaders/weights/f32.wgsl"), kernel]
        }
        TensorType::Float(DType::F16) => {
            vec![unit, include_str!("shaders/weights/f16.wgsl"), kernel]
        }
        TensorType::Float(DType::BF16) => {
            vec![unit, include_str!("shaders/weights/bf16.wgsl"), kernel]
        }
        TensorType::Block(BlockType::Q8_0) => block(include_str!("shaders/weights/q8_0.wgsl")),
        TensorType::Block(BlockType::Q6K) => block(include_str!("shaders/weights/q6_k.wgsl")),
        TensorType::Block(BlockType::Q5K) => block(include_str!("shaders/weights/q5_k.wgsl")),
        TensorType::Block(BlockType::Q5_0) => block(include_str!("shaders/weights/q5_0.wgsl")),
        TensorType::Block(BlockType::Q4K) => block(include_str!("shaders/weights/q4_k.wgsl")),
        TensorType::Block(BlockType::Q4_0) => block(include_str!("shaders/weights/q4_0.wgsl")),
    }
}

/// What reads a cache of this type, and what writes it.
fn cache(dtype: CacheDType) -> [&'static str; 2] {
    match dtype {
        CacheDType::Float(DType::F32) => {
            [include_str!("shaders/caches/f32.wgsl"), include_str!("shaders/caches/f32_store.wgsl")]
        }
        CacheDType::Float(DType::F16) => {
            [include_str!("shaders/caches/f16.wgsl"), include_str!("shaders/caches/f16_store.wgsl")]
        }
        CacheDType::Float(DType::BF16) => [
            include_str!("shaders/caches/bf16.wgsl"),
            include_str!("shaders/caches/bf16_store.wgsl"),
        ],
        CacheDType::Q8_0 => [
            include_str!("shaders/caches/q8_0.wgsl"),
            include_str!("shaders/caches/q8_0_store.wgsl"),
        ],
    }
}
