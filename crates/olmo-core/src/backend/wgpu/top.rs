//! The largest logits of rows, of which no more than a list a row comes back.

use super::kernels::{Kernel, TOP_ITEMS};
use super::slice::Tensor;
use super::WgpuOps;
use crate::sampling::{Candidate, TopLogits, TopRequest, MOST_TOP_LOGITS};
use crate::{Error, Result};

/// Rows of a dispatch: so many temperatures are among its parameters.
const ROWS: usize = 16;

impl WgpuOps {
    pub(super) fn find_top(&self, x: &Tensor, request: &TopRequest) -> Result<Vec<TopLogits>> {
        let TopRequest { count, temperatures } = request;
        if temperatures.len() != x.rows || !(1..=MOST_TOP_LOGITS).contains(count) {
            let problem = format!("{request:?} met {} rows", x.rows);
            return Err(Error::Internal(problem));
        }
        let wanted = count.next_power_of_two();
        let mut items = x.width;
        let mut lists = items.div_ceil(TOP_ITEMS);
        let mut found = self.lists(Kernel::TopOfLogits(wanted), x, [items, lists], temperatures)?;
        while lists > 1 {
            (items, lists) = (lists, lists.div_ceil(TOP_ITEMS / wanted));
            found = self.lists(Kernel::TopOfLists(wanted), &found, [items, lists], temperatures)?;
        }
        let words = self.gpu.read(found.buffer(), found.first, found.rows * found.width)?;
        let list = |list: &[u32]| read_list(list, wanted, *count, x.width);
        Ok(words.chunks_exact(found.width.max(1)).map(list).collect())
    }

    /// So many lists a row, of so many items.
    fn lists(
        &self,
        kernel: Kernel,
        x: &Tensor,
        [items, lists]: [usize; 2],
        temperatures: &[f32],
    ) -> Result<Tensor> {
        let (Kernel::TopOfLogits(wanted) | Kernel::TopOfLists(wanted)) = kernel else {
            return Err(Error::Internal(format!("{kernel:?} makes no lists")));
        };
        let [found] = self.gpu.tensors(x.rows, [lists * list_words(wanted)])?;
        for (index, temperatures) in temperatures.chunks(ROWS).enumerate() {
            let mut params = vec![items as u32, (index * ROWS) as u32, 0, 0];
            params.extend(temperatures.iter().map(|temperature| temperature.to_bits()));
            let part = |tensor: &Tensor| tensor.slice().moving(temperatures.len() * tensor.width);
            let slices = [part(x), part(&found)];
            let groups = [lists as u32, temperatures.len() as u32, 1];
            self.gpu.dispatch(kernel, &params, &slices, groups)?;
        }
        Ok(found)
    }
}

/// Keys, places and a sum.
fn list_words(wanted: usize) -> usize {
    2 * wanted + 1
}

fn read_list(list: &[u32], wanted: usize, count: usize, vocab_size: usize) -> TopLogits {
    let (keys, rest) = list.split_at(wanted);
    let items = keys.iter().zip(rest).take(count.min(vocab_size));
    let candidates = items.map(|(&key, &id)| Candidate { id, score: number_of(key) }).collect();
    TopLogits { candidates, sum: f32::from_bits(rest[wanted]), vocab_size }
}

/// The number of a key in `shaders/top/find.wgsl`.
fn number_of(key: u32) -> f32 {
    f32::from_bits(if key >> 31 == 1 { key & 0x7fff_ffff } else { !key })
}
