//! Attention and what comes before it.

use super::cache::Cache;
use super::kernels::{Heads, Kernel, ATTENTION_TILE, SIZE};
use super::pass::{KindPass, Pass};
use super::slice::{Slice, Tensor};
use super::{same_shape, words, Vector, WgpuOps};
use crate::cache::{CacheDType, CACHE_GROUP};
use crate::dtype::DType;
use crate::ops::{LayerSpec, QkNorm};
use crate::{Error, Result};

/// Keys that a workgroup looks at when there are few rows, so that a long text keeps the whole device busy: enough for
/// the sums it leaves to be less than a hundredth of the keys and values it reads.
const SPLIT_KEYS: usize = 128;

/// Rows up to which they are split so.
const MOST_SPLIT: usize = 64;

impl WgpuOps {
    /// Norms, rotation and the cache in one kernel. Returns the queries.
    pub(super) fn attention_input(
        &self,
        [q, k, v]: [&Tensor; 3],
        norms: QkNorm<'_, Vector>,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Tensor> {
        check_keys(k, v, cache, pass)?;
        check_cache(q, cache, layer, pass)?;
        if [norms.q.width, norms.k.width] != [q.width, k.width] {
            let problem =
                format!("norms of {} and {} for queries and keys", norms.q.width, norms.k.width);
            return Err(Error::Internal(problem));
        }
        let kind = &pass.kinds[layer.kind];
        let [rotated] = self.gpu.tensors(q.rows, [q.width])?;
        let sizes = words([
            cache.width(),
            cache.row_words(),
            cache.values(layer.index),
            q.width,
            kind.half_dim,
            q.rows,
            kind.angles,
        ]);
        let params = [&sizes[..], &[norms.eps.to_bits()]].concat();
        let slices = [
            pass.slice(kind.places),
            norms.q.slice(),
            norms.k.slice(),
            q.slice(),
            k.slice(),
            v.slice(),
            cache.slice(layer.index).moving(2 * pass.rows * cache.row_words()),
            rotated.slice(),
        ];
        let kernel = Kernel::AttentionInput(cache.dtype);
        self.gpu.dispatch(kernel, &params, &slices, [3, q.rows as u32, 1])?;
        Ok(rotated)
    }

    pub(super) fn store(
        &self,
        k: &Tensor,
        v: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<()> {
        check_keys(k, v, cache, pass)?;
        check_cache(k, cache, layer, pass)?;
        let group = match cache.dtype {
            CacheDType::Float(DType::F32) => 1,
            CacheDType::Float(_) => 2,
            CacheDType::Q8_0 => CACHE_GROUP,
        };
        let kind = &pass.kinds[layer.kind];
        let params = [cache.width(), cache.row_words(), cache.values(layer.index)];
        let stored = cache.slice(layer.index).moving(2 * pass.rows * cache.row_words());
        let slices = [pass.slice(kind.places), k.slice(), v.slice(), stored];
        let groups = cache.width().div_ceil(group).div_ceil(SIZE) as u32;
        let kernel = Kernel::Store(cache.dtype);
        self.gpu.dispatch(kernel, &words(params), &slices, [groups, pass.rows as u32, 2])
    }

    /// What the rows find in the cache.
    pub(super) fn attend(
        &self,
        q: &Tensor,
        cache: &Cache,
        layer: LayerSpec,
        pass: &Pass,
    ) -> Result<Tensor> {
        check_cache(q, cache, layer, pass)?;
        let [out] = self.gpu.tensors(q.rows, [q.width])?;
        let attending = Attending { q, cache, layer, pass, out };
        self.attend_few(&attending)?;
        self.attend_tiles(&attending)?;
        Ok(attending.out)
    }

    /// Rows of short spans, split over their keys.
    fn attend_few(&self, attending: &Attending<'_>) -> Result<()> {
        let &Attending { q, cache, pass, ref out, .. } = attending;
        let kind = attending.kind();
        let (heads, kernel) = (attending.heads(), attending.kind_of_heads());
        let head_dim = kernel.head_dim;
        // So many rows keep the device busy as they are.
        let split_keys = if kind.few.count <= MOST_SPLIT { SPLIT_KEYS } else { u32::MAX as usize };
        let splits = kind.few.most_keys.div_ceil(split_keys).max(1);
        let found = match splits {
            1 => out.share(),
            _ => {
                let partials = heads * splits * (head_dim + 2);
                let [partials] = self.gpu.tensors(kind.few.count, [partials])?;
                partials
            }
        };
        let readers = heads / kernel.shared / cache.shape.kv_heads;
        let slices = [
            pass.slice(kind.places),
            pass.slice(kind.blocks),
            q.slice(),
            attending.seen(kind.few.all_keys * readers),
            found.slice(),
            pass.slice(kind.few.list),
        ];
        let shared_by = heads / cache.shape.kv_heads;
        let sizes = words([heads, shared_by, splits, split_keys]);
        let of_row = 4 * kind.few.most_keys * q.width;
        for rows in self.gpu.cut(kind.few.count, of_row)? {
            let rest = [attending.scale(), rows.start as u32];
            let params = [&attending.places()[..], &sizes, &rest].concat();
            let groups = [heads / kernel.shared, rows.len(), splits];
            self.gpu.dispatch(Kernel::Attention(kernel), &params, &slices, words(groups))?;
        }
        if splits > 1 {
            let params = words([heads, head_dim, splits, split_keys]);
            let list = pass.slice(kind.few.list);
            let slices = [pass.slice(kind.places), found.slice(), out.slice(), list];
            let groups = words([heads, kind.few.count, 1]);
            self.gpu.dispatch(Kernel::AttentionCombine, &params, &slices, groups)?;
        }
        Ok(())
    }

    /// Rows of long spans, a tile at a time.
    fn attend_tiles(&self, attending: &Attending<'_>) -> Result<()> {
        let &Attending { q, cache, pass, ref out, .. } = attending;
        let kind = attending.kind();
        let heads = attending.heads();
        let slices = [
            pass.slice(kind.places),
            pass.slice(kind.blocks),
            q.slice(),
            attending.seen(kind.tiles.all_keys * heads / cache.shape.kv_heads),
            out.slice(),
            pass.slice(kind.tiles.list),
        ];
        let kernel = Kernel::AttentionTiles(Heads { shared: 1, ..attending.kind_of_heads() });
        let shared_by = heads / cache.shape.kv_heads;
        let of_tile = 4 * ATTENTION_TILE * kind.tiles.most_keys * q.width;
        for tiles in self.gpu.cut(kind.tiles.count, of_tile)? {
            let sizes = words([heads, shared_by, tiles.start]);
            let params = [&attending.places()[..], &sizes, &[attending.scale()]].concat();
            let groups = words([heads, tiles.len(), 1]);
            self.gpu.dispatch(kernel, &params, &slices, groups)?;
        }
        Ok(())
    }
}

/// What a layer's attention is over, and where its output goes.
struct Attending<'a> {
    q: &'a Tensor,
    cache: &'a Cache,
    layer: LayerSpec,
    pass: &'a Pass,
    out: Tensor,
}

impl Attending<'_> {
    fn kind(&self) -> &KindPass {
        &self.pass.kinds[self.layer.kind]
    }

    fn heads(&self) -> usize {
        self.q.width / self.cache.shape.head_dim
    }

    fn kind_of_heads(&self) -> Heads {
        let shape = &self.cache.shape;
        Heads::new(self.cache.dtype, shape.head_dim, self.heads() / shape.kv_heads)
    }

    /// Where keys and values are, as the kernels' parameters begin.
    fn places(&self) -> [u32; 3] {
        let Attending { cache, layer, .. } = self;
        words([cache.width(), cache.row_words(), cache.values(layer.index)])
    }

    fn scale(&self) -> u32 {
        (1.0 / (self.cache.shape.head_dim as f32).sqrt()).to_bits()
    }

    /// The cache, of which so many keys and as many values are read.
    fn seen(&self, keys: usize) -> Slice {
        self.cache.slice(self.layer.index).moving(2 * keys * self.cache.row_words())
    }
}

fn check_keys(k: &Tensor, v: &Tensor, cache: &Cache, pass: &Pass) -> Result<()> {
    same_shape(k, v)?;
    match [k.rows, k.width] == [pass.rows, cache.width()] {
        true => Ok(()),
        false => {
            let problem =
                format!("keys [{}, {}] for a cache of {}", k.rows, k.width, cache.width());
            Err(Error::Internal(problem))
        }
    }
}

/// Kernels find their way in the cache through the blocks of the pass.
fn check_cache(x: &Tensor, cache: &Cache, layer: LayerSpec, pass: &Pass) -> Result<()> {
    let needed = pass.kinds[layer.kind].most_blocks;
    let blocks = cache.shape.blocks.get(layer.index).copied().unwrap_or(0);
    match needed <= blocks && x.rows == pass.rows && x.width.is_multiple_of(cache.width()) {
        true => Ok(()),
        false => {
            let problem =
                format!("{layer:?} needs {needed} blocks of {blocks} for {} rows", x.rows);
            Err(Error::Internal(problem))
        }
    }
}
