//! The kernels: which there are, and what their sources are put together from.

use super::cooperative::Units;
use crate::cache::CacheDType;
use crate::dtype::{DType, TensorType};
use crate::quant::BlockType;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kernel {
    Embed(TensorType),
    /// Products of up to three matrices with a few rows.
    ProjectRows(Lines),
    SwigluRows(Lines),
    /// The same for many rows; whether rows of activations are whole units.
    ProjectTiles(TensorType, bool),
    /// The same by cooperative matrices, for rows of whole units.
    ProjectCooperative(TensorType, Units),
    RmsNorm,
    NormAdd,
    Rope,
    Store(CacheDType),
    AttentionInput(CacheDType),
    Attention(Heads),
    AttentionCombine,
    /// Attention of many rows of a text.
    AttentionTiles(Heads),
    SiluMul,
    Add,
    Select,
    /// Lists of so many of the largest of a row's numbers: a power of two, up to [`TOP_ITEMS`].
    TopOfLogits(usize),
    /// The same of such lists.
    TopOfLists(usize),
}

/// The kind of products that `shaders/lines.wgsl` computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Lines {
    /// The types of weights: twice the same, if there is one.
    pub kinds: [TensorType; 2],
    /// Rows of activations, up to [`MOST_ROWS`].
    pub rows: usize,
    /// Whether rows of activations are whole units.
    pub is_wide: bool,
}

/// The kind of heads that `shaders/attention.wgsl` computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Heads {
    pub cache: CacheDType,
    pub head_dim: usize,
    /// Query heads that a workgroup computes together; they have the same key head.
    pub shared: usize,
}

/// Rows of activations in a product of lines.
pub(super) const MOST_ROWS: usize = 8;

/// Lines that a workgroup multiplies.
pub(super) const LINES: usize = 4;

/// Heads of a workgroup of [`Kernel::Attention`], and what their queries take of its shared memory.
const MOST_SHARED: usize = 8;
const MOST_SHARED_LANES: usize = 256;

/// Rows of a workgroup of [`Kernel::AttentionTiles`].
pub(super) const ATTENTION_TILE: usize = 32;

/// Heads of more numbers do not fit its registers.
pub(super) const MOST_TILE_HEAD_DIM: usize = 256;

/// Matrices that are multiplied together.
pub(super) const MOST_SEGMENTS: usize = 3;

/// Rows and outputs of a workgroup of [`Kernel::ProjectTiles`].
pub(super) const TILE: usize = 64;

/// Those of a workgroup of [`Kernel::ProjectCooperative`].
pub(super) const COOPERATIVE_ROWS: usize = 64;
pub(super) const COOPERATIVE_OUTPUTS: usize = 128;

/// Numbers, or items of lists, of a workgroup of [`Kernel::TopOfLogits`] and [`Kernel::TopOfLists`].
pub(super) const TOP_ITEMS: usize = 1024;

/// Invocations of a workgroup of the kernels that compute a number each.
pub(super) const SIZE: usize = 64;

/// How a workgroup puts together what its invocations have.
pub(super) struct Sums {
    at: &'static str,
    lines: &'static str,
    total: &'static str,
    each: &'static str,
}

/// Through shared memory.
pub(super) const PLAIN: Sums = Sums {
    at: include_str!("shaders/sums/plain/at.wgsl"),
    lines: include_str!("shaders/sums/plain/lines.wgsl"),
    total: include_str!("shaders/sums/plain/total.wgsl"),
    each: include_str!("shaders/sums/plain/each.wgsl"),
};

/// Through subgroups first: fewer barriers, but not every device has them.
pub(super) const SUBGROUPS: Sums = Sums {
    at: include_str!("shaders/sums/subgroups/at.wgsl"),
    lines: include_str!("shaders/sums/subgroups/lines.wgsl"),
    total: include_str!("shaders/sums/subgroups/total.wgsl"),
    each: include_str!("shaders/sums/subgroups/each.wgsl"),
};

impl Kernel {
    pub fn source(self, sums: &Sums) -> String {
        let parts = match self {
            Kernel::Embed(kind) => with_weights(kind, include_str!("shaders/embed.wgsl")),
            Kernel::ProjectTiles(kind, is_wide) => {
                let kernel = include_str!("shaders/project_tiles.wgsl");
                vec![PRODUCTS, UNIT, BLOCKS, weights(kind), inputs(is_wide), kernel]
            }
            Kernel::ProjectCooperative(kind, units) => {
                let kernel = include_str!("shaders/project_cooperative.wgsl");
                let parts = [PRODUCTS, UNIT, BLOCKS, weights(kind), inputs(true), kernel];
                return [&[&*units.constants()], &parts[..]].concat().join("\n");
            }
            Kernel::ProjectRows(lines) => {
                return lines.source(include_str!("shaders/project_rows.wgsl"), sums)
            }
            Kernel::SwigluRows(lines) => {
                return lines.source(include_str!("shaders/swiglu_rows.wgsl"), sums)
            }
            Kernel::RmsNorm => with_norm(sums, &[include_str!("shaders/rms_norm.wgsl")]),
            Kernel::NormAdd => with_norm(sums, &[include_str!("shaders/norm_add.wgsl")]),
            Kernel::Rope => vec![include_str!("shaders/rope.wgsl")],
            Kernel::Store(dtype) => {
                vec![ROW, cache_writer(dtype), include_str!("shaders/store.wgsl")]
            }
            Kernel::AttentionInput(dtype) => {
                let kernel = include_str!("shaders/attention_input.wgsl");
                with_norm(sums, &[cache_writer(dtype), kernel])
            }
            Kernel::Attention(heads) => {
                return heads.source(include_str!("shaders/attention.wgsl"), &[sums.at, sums.each])
            }
            Kernel::AttentionTiles(heads) => {
                return heads.source(include_str!("shaders/attention_tiles.wgsl"), &[])
            }
            Kernel::AttentionCombine => {
                vec![ROW, include_str!("shaders/attention_combine.wgsl")]
            }
            Kernel::SiluMul => vec![include_str!("shaders/silu_mul.wgsl")],
            Kernel::Add => vec![include_str!("shaders/add.wgsl")],
            Kernel::Select => vec![include_str!("shaders/select.wgsl")],
            Kernel::TopOfLogits(wanted) => {
                return top(wanted, include_str!("shaders/top/logits.wgsl"), sums)
            }
            Kernel::TopOfLists(wanted) => {
                return top(wanted, include_str!("shaders/top/lists.wgsl"), sums)
            }
        };
        parts.join("\n")
    }
}

const PRODUCTS: &str = include_str!("shaders/products.wgsl");
const ROW: &str = include_str!("shaders/row.wgsl");
const UNIT: &str = include_str!("shaders/weights/unit.wgsl");
const BLOCKS: &str = include_str!("shaders/weights/blocks.wgsl");

impl Lines {
    /// A kernel for one type or two. What reads the second has names of its own.
    fn source(self, kernel: &str, sums: &Sums) -> String {
        let inputs = inputs(self.is_wide);
        let multiply = include_str!("shaders/multiply.wgsl");
        let [first, second] = self.kinds.map(|kind| format!("{}\n{multiply}", weights(kind)));
        let (second, choice) = match self.kinds[0] == self.kinds[1] {
            true => (String::new(), "return pack_multiply(starts, lane);"),
            false => {
                let renamed = second.replace("Pack", "Other").replace("pack_", "other_");
                let renamed = renamed.replace("PACK_", "OTHER_");
                let choice = "if kind == 0u { return pack_multiply(starts, lane); } \
                              return other_multiply(starts, lane);";
                (renamed, choice)
            }
        };
        let rows = format!("const ROWS = {}u;", self.rows);
        let choose = format!(
            "fn multiply(kind: u32, starts: vec4u, lane: u32) -> array<vec4f, ROWS> {{ {choice} }}"
        );
        let lines = include_str!("shaders/lines.wgsl");
        let weights = [UNIT, BLOCKS, &first, &second, &choose];
        let rest = [&rows, inputs, lines, sums.at, sums.lines, kernel];
        [&weights[..], &rest[..]].concat().join("\n")
    }
}

impl Heads {
    /// As many heads together as have the same key head and fit.
    pub fn new(cache: CacheDType, head_dim: usize, shared_by: usize) -> Heads {
        let fits = |&shared: &usize| {
            shared_by.is_multiple_of(shared) && shared * lanes(head_dim) <= MOST_SHARED_LANES
        };
        let shared = (1..=MOST_SHARED.min(shared_by)).rev().find(fits).unwrap_or(1);
        Heads { cache, head_dim, shared }
    }

    fn source(self, kernel: &str, sums: &[&str]) -> String {
        let Heads { cache, head_dim, shared } = self;
        let constants = format!(
            "const HEAD_DIM = {head_dim}u; const SHARED = {shared}u; const LANES = {}u;",
            lanes(head_dim)
        );
        let four = match head_dim.is_multiple_of(4) {
            true => include_str!("shaders/heads/wide.wgsl"),
            false => include_str!("shaders/heads/plain.wgsl"),
        };
        [&[&constants, ROW, cache_reader(cache), four], sums, &[kernel]].concat().join("\n")
    }
}

/// What finds the largest of items that `reader` reads.
fn top(wanted: usize, reader: &str, sums: &Sums) -> String {
    let constants = format!("const WANTED = {wanted}u; const ITEMS = {TOP_ITEMS}u;");
    [&constants, sums.at, sums.total, reader, include_str!("shaders/top/find.wgsl")].join("\n")
}

/// Invocations that share the numbers of a head out, four each.
fn lanes(head_dim: usize) -> usize {
    head_dim.div_ceil(4).next_power_of_two()
}

/// A kernel that norms rows.
fn with_norm(sums: &Sums, kernel: &[&'static str]) -> Vec<&'static str> {
    [&[sums.at, sums.total, include_str!("shaders/norm.wgsl")], kernel].concat()
}

/// A kernel that reads units of weights of one type.
fn with_weights(kind: TensorType, kernel: &'static str) -> Vec<&'static str> {
    vec![UNIT, BLOCKS, weights(kind), include_str!("shaders/weights/any.wgsl"), kernel]
}

/// What reads weights of one type.
fn weights(kind: TensorType) -> &'static str {
    match kind {
        TensorType::Float(DType::F32) => include_str!("shaders/weights/f32.wgsl"),
        TensorType::Float(DType::F16) => include_str!("shaders/weights/f16.wgsl"),
        TensorType::Float(DType::BF16) => include_str!("shaders/weights/bf16.wgsl"),
        TensorType::Block(BlockType::Q8_0) => include_str!("shaders/weights/q8_0.wgsl"),
        TensorType::Block(BlockType::Q6K) => include_str!("shaders/weights/q6_k.wgsl"),
        TensorType::Block(BlockType::Q5K) => include_str!("shaders/weights/q5_k.wgsl"),
        TensorType::Block(BlockType::Q5_0) => include_str!("shaders/weights/q5_0.wgsl"),
        TensorType::Block(BlockType::Q4K) => include_str!("shaders/weights/q4_k.wgsl"),
        TensorType::Block(BlockType::Q4_0) => include_str!("shaders/weights/q4_0.wgsl"),
    }
}

/// What reads activations.
fn inputs(is_wide: bool) -> &'static str {
    match is_wide {
        true => include_str!("shaders/inputs/wide.wgsl"),
        false => include_str!("shaders/inputs/plain.wgsl"),
    }
}

fn cache_reader(dtype: CacheDType) -> &'static str {
    match dtype {
        CacheDType::Float(DType::F32) => include_str!("shaders/caches/f32.wgsl"),
        CacheDType::Float(DType::F16) => include_str!("shaders/caches/f16.wgsl"),
        CacheDType::Float(DType::BF16) => include_str!("shaders/caches/bf16.wgsl"),
        CacheDType::Q8_0 => include_str!("shaders/caches/q8_0.wgsl"),
    }
}

fn cache_writer(dtype: CacheDType) -> &'static str {
    match dtype {
        CacheDType::Float(DType::F32) => include_str!("shaders/caches/f32_store.wgsl"),
        CacheDType::Float(DType::F16) => include_str!("shaders/caches/f16_store.wgsl"),
        CacheDType::Float(DType::BF16) => include_str!("shaders/caches/bf16_store.wgsl"),
        CacheDType::Q8_0 => include_str!("shaders/caches/q8_0_store.wgsl"),
    }
}
