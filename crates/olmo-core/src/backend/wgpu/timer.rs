//! How long dispatches take on the device. Each is then a pass of its own, whose beginning and end write the device's
//! clock; where nothing is timed, there is no timer.

use wgpu::{
    Buffer, BufferDescriptor, BufferUsages, CommandEncoder, ComputePassTimestampWrites, Device,
    QuerySet, QuerySetDescriptor, QueryType,
};

use super::gpu::Gpu;
use super::recording::MOST_DISPATCHES;
use super::trace::Notes;
use crate::{Error, Result};

pub(super) struct Timer {
    queries: QuerySet,
    /// Two numbers of 64 bits a dispatch.
    ticks: Buffer,
    /// Dispatches that were recorded and not sent.
    count: usize,
}

const TICKS_BYTES: usize = 16;

impl Timer {
    fn new(device: &Device) -> Timer {
        Timer {
            queries: device.create_query_set(&QuerySetDescriptor {
                label: Some("times"),
                ty: QueryType::Timestamp,
                count: 2 * MOST_DISPATCHES as u32,
            }),
            ticks: device.create_buffer(&BufferDescriptor {
                label: Some("times"),
                size: (TICKS_BYTES * MOST_DISPATCHES) as u64,
                usage: BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC,
                mapped_at_creation: false,
            }),
            count: 0,
        }
    }

    /// Where the pass of the next dispatch writes.
    pub fn next(&mut self) -> ComputePassTimestampWrites<'_> {
        let first = 2 * self.count as u32;
        self.count += 1;
        ComputePassTimestampWrites {
            query_set: &self.queries,
            beginning_of_pass_write_index: Some(first),
            end_of_pass_write_index: Some(first + 1),
        }
    }

    /// Ends the commands of the dispatches.
    pub fn resolve(&self, encoder: &mut CommandEncoder) {
        if self.count > 0 {
            encoder.resolve_query_set(&self.queries, 0..2 * self.count as u32, &self.ticks, 0);
        }
    }
}

impl Gpu {
    /// Makes the timer if dispatches are to be timed.
    pub(super) fn ready_timer(&self, notes: Notes) -> Result<()> {
        if notes != Notes::Times || self.timer.borrow().is_some() {
            return Ok(());
        }
        if !self.device.features().contains(wgpu::Features::TIMESTAMP_QUERY) {
            return Err(Error::DeviceUnavailable {
                device: self.name.clone(),
                reason: "its driver does not tell how long a kernel takes".into(),
            });
        }
        self.timer.replace(Some(Timer::new(&self.device)));
        Ok(())
    }

    /// Gives the trace the times of what was sent, for which it waits.
    pub(super) fn take_times(&self) -> Result<()> {
        let (ticks, count) = match &mut *self.timer.borrow_mut() {
            Some(timer) if timer.count > 0 => {
                (timer.ticks.clone(), std::mem::take(&mut timer.count))
            }
            _ => return Ok(()),
        };
        let words = self.read(&ticks, 0, count * TICKS_BYTES / 4)?;
        let period = f64::from(self.queue.get_timestamp_period());
        let tick = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
        let times = words.chunks_exact(4).map(|words| {
            let taken = tick(words[2], words[3]).saturating_sub(tick(words[0], words[1]));
            taken as f64 * period
        });
        if let Some(trace) = &*self.trace.borrow() {
            trace.fill(times);
        }
        Ok(())
    }
}
