//! A batch made ready for the layers: checked once, then only read.

use super::cache::Cache;
use super::workspace::Tensor;
use crate::config::AttentionKind;
use crate::ops::{Batch, BlockTable, LayerKind, LayerSpec, RopeTable, Span};
use crate::{Error, Result};

/// No model has as many kinds of attention; a pass allocates nothing.
const MOST_KINDS: usize = 4;

/// A batch whose spans cover its rows one after the other, whose rows all have an angle, and whose
/// block tables cover what its rows see. Kernels go by that without looking again.
pub struct Pass<'a> {
    batch: &'a Batch,
    kinds: &'a [LayerKind],
    /// For each kind, how many blocks a cache must have for all in the tables to be inside it.
    blocks: [usize; MOST_KINDS],
    /// Rows of the longest span.
    pub(super) longest: usize,
}

impl<'a> Pass<'a> {
    pub(super) fn new(batch: &'a Batch, kinds: &'a [LayerKind]) -> Result<Pass<'a>> {
        if kinds.len() > MOST_KINDS {
            return Err(Error::Internal(format!("{} kinds of attention", kinds.len())));
        }
        let mut rows = 0;
        for span in &batch.spans {
            if span.rows.start != rows || span.rows.end < rows || !covered(span, kinds) {
                return Err(Error::Internal(format!(
                    "{span:?} does not fit the batch or its blocks"
                )));
            }
            rows = span.rows.end;
        }
        let angles = kinds.iter().map(|kind| kind.rope.positions()).min().unwrap_or(usize::MAX);
        let has_angle = |position: &u32| (*position as usize) < angles;
        if [batch.rows(), batch.positions.len()] != [rows, rows]
            || !batch.positions.iter().all(has_angle)
            || !batch.outputs.iter().all(|&output| output < rows)
        {
            return Err(Error::Internal("the rows of a batch do not agree".into()));
        }
        let mut blocks = [0; MOST_KINDS];
        for (kind, blocks) in blocks.iter_mut().enumerate().take(kinds.len()) {
            let all = batch.spans.iter().flat_map(|span| &span.tables[kind].blocks);
            *blocks = all.max().map_or(0, |&block| block as usize + 1);
        }
        Ok(Pass {
            batch,
            kinds,
            blocks,
            longest: batch.spans.iter().map(|span| span.rows.len()).max().unwrap_or(0),
        })
    }

    pub(super) fn batch(&self) -> &'a Batch {
        self.batch
    }

    pub(super) fn rope(&self, layer: LayerSpec) -> &'a RopeTable {
        &self.kinds[layer.kind].rope
    }

    pub(super) fn attention(&self, layer: LayerSpec) -> AttentionKind {
        self.kinds[layer.kind].attention
    }

    /// The spans, each with its blocks in this layer.
    pub(super) fn spans(
        &self,
        layer: LayerSpec,
    ) -> impl Iterator<Item = (&'a Span, &'a BlockTable)> + use<'a> {
        self.batch.spans.iter().map(move |span| (span, &span.tables[layer.kind]))
    }

    /// A tensor has the batch's rows.
    pub(super) fn check_rows(&self, x: &Tensor) -> Result<()> {
        match x.rows == self.batch.rows() {
            true => Ok(()),
            false => {
                Err(Error::Internal(format!("{} rows in a batch of {}", x.rows, self.batch.rows())))
            }
        }
    }

    /// The blocks in the tables of this layer's kind are inside the storage of the layer.
    pub(super) fn check_cache(&self, cache: &Cache, layer: LayerSpec) -> Result<()> {
        match cache.shape.blocks.get(layer.index) {
            Some(&blocks) if self.blocks[layer.kind] <= blocks => Ok(()),
            _ => Err(Error::Internal(format!(
                "{layer:?} needs {} blocks of {:?}",
                self.blocks[layer.kind], cache.shape
            ))),
        }
    }
}

/// Whether a span has a block for every position that any of its rows sees.
fn covered(span: &Span, kinds: &[LayerKind]) -> bool {
    let seen = |kind: &LayerKind| kind.attention.first_seen(span.start)..span.end();
    span.tables.len() >= kinds.len()
        && kinds.iter().zip(&span.tables).all(|(kind, table)| table.covers(seen(kind)))
}
