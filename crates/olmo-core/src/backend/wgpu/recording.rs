//! Commands: recorded one after the other, sent together.
//!
//! wgpu takes a command buffer once: it cannot be sent again, and only drawing has bundles that can. So a token's commands
//! are recorded anew, and what is expensive in that is kept: pipelines, and bind groups, since the passes of a kind take the
//! same buffers from the pool in the same order. A dispatch then costs three calls. Parameters go to a place of their own
//! in one buffer, which is written once for all commands that are sent together.

use std::collections::HashMap;
use std::ops::Range;

use wgpu::{
    BindGroup, BindGroupDescriptor, BindGroupEntry, BindingResource, BufferBinding, CommandEncoder,
    ComputePass, ComputePassDescriptor, ComputePassTimestampWrites, Device, PollType,
};

use super::gpu::Gpu;
use super::kernels::Kernel;
use super::program::Program;
use super::slice::Slice;
use super::trace::{Binding, Dispatch, Notes, Trace};
use crate::{Error, Result};

/// Bytes of the numbers that a dispatch is given, and how far apart those of two lie: the alignment that every
/// device takes.
pub(super) const PARAMS: usize = 128;
pub(super) const PARAMS_STRIDE: usize = 256;

/// Dispatches that are sent together at most.
pub(super) const MOST_DISPATCHES: usize = 1024;

/// After so many the commands are sent, so that the device works while the host records what follows.
const FIRST_DISPATCHES: usize = 48;

/// Submissions that may be on their way. The host waits for the oldest before it sends another.
const MOST_IN_FLIGHT: usize = 16;

/// Floating-point operations of a dispatch at most. A slow GPU, such as one within a processor, does 200 a nanosecond in
/// such kernels, so this takes it a tenth of a second; a driver that sees a GPU busy with one command for seconds resets it.
pub(super) const MOST_WORK: usize = 20_000_000_000;

/// Dispatches of that size after which commands are sent.
const ENOUGH_WORK: usize = 4;

/// Workgroups in one dimension of a dispatch: the number that every device takes.
pub(super) const MOST_GROUPS: u32 = 65535;

/// Bind groups that are kept. Passes of ever new sizes would add some without end.
const MOST_BIND_GROUPS: usize = 8192;

/// Commands that were not sent yet.
#[derive(Default)]
pub(super) struct Recording {
    encoder: Option<CommandEncoder>,
    /// Ends when it is dropped; until then the encoder takes nothing else.
    pass: Option<ComputePass<'static>>,
    /// The parameters of all dispatches, each in its place in the buffer that they are sent in.
    params: Vec<u8>,
}

impl Recording {
    /// For commands outside of a compute pass.
    pub fn encoder(&mut self, device: &Device) -> &mut CommandEncoder {
        self.pass = None;
        self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()))
    }

    fn pass(&mut self, device: &Device) -> &mut ComputePass<'static> {
        let encoder =
            self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        self.pass.get_or_insert_with(|| {
            encoder.begin_compute_pass(&Default::default()).forget_lifetime()
        })
    }

    /// A new pass for one dispatch, which ends with it.
    fn timed_pass(
        &mut self,
        device: &Device,
        writes: ComputePassTimestampWrites,
    ) -> &mut ComputePass<'static> {
        let descriptor = ComputePassDescriptor { label: None, timestamp_writes: Some(writes) };
        let pass = self.encoder(device).begin_compute_pass(&descriptor).forget_lifetime();
        self.pass.insert(pass)
    }

    /// Returns where they are.
    fn add_params(&mut self, params: &[u32]) -> usize {
        let offset = self.params.len();
        self.params.extend(params.iter().flat_map(|word| word.to_le_bytes()));
        self.params.resize(offset + PARAMS_STRIDE, 0);
        offset
    }
}

/// A kernel and the parts of buffers that it works on.
type BindKey = (Kernel, Vec<(wgpu::Buffer, usize, usize)>);

#[derive(Default)]
pub(super) struct BindGroups(HashMap<BindKey, BindGroup>);

impl Gpu {
    /// Records a kernel. `params` are the fields of its `Params`, `slices` its bindings from 1 on.
    pub fn dispatch(
        &self,
        kernel: Kernel,
        params: &[u32],
        slices: &[Slice],
        groups: [u32; 3],
    ) -> Result<()> {
        if groups.contains(&0) {
            return Ok(());
        }
        if groups.iter().any(|&groups| groups > MOST_GROUPS) || params.len() * 4 > PARAMS {
            return Err(Error::Internal(format!("{kernel:?} over {groups:?} workgroups")));
        }
        let mut programs = self.programs.borrow_mut();
        let compile = || Program::compile(&self.device, kernel, self.sums.get());
        let program = programs.entry(kernel).or_insert_with(compile);
        let group = self.bind_group(kernel, program, slices);
        let notes = self.trace.borrow().as_ref().map_or(Notes::Nothing, Trace::notes);
        if let (Some(trace), true) = (&*self.trace.borrow(), notes != Notes::Nothing) {
            trace.add(traced(kernel, program, slices, groups));
        }
        self.ready_timer(notes)?;
        let mut timer = self.timer.borrow_mut();
        let mut recording = self.recording.borrow_mut();
        let offset = recording.add_params(params);
        let pass = match &mut *timer {
            Some(timer) if notes == Notes::Times => {
                recording.timed_pass(&self.device, timer.next())
            }
            _ => recording.pass(&self.device),
        };
        pass.set_pipeline(&program.pipeline);
        pass.set_bind_group(0, &group, &[offset as u32]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
        if notes == Notes::Times {
            recording.pass = None;
        }
        let is_full = recording.params.len() >= self.enough.get() * PARAMS_STRIDE;
        drop((recording, timer, programs));
        match is_full {
            true => self.send(MOST_DISPATCHES),
            false => Ok(()),
        }
    }

    fn bind_group(&self, kernel: Kernel, program: &Program, slices: &[Slice]) -> BindGroup {
        let parts = slices.iter().map(|part| (part.buffer.clone(), part.first, part.words));
        let key = (kernel, parts.collect());
        let BindGroups(kept) = &mut *self.bind_groups.borrow_mut();
        if let Some(group) = kept.get(&key) {
            return group.clone();
        }
        let part = |buffer, offset: usize, bytes: usize| {
            let (offset, size) = (offset as u64, std::num::NonZero::new(bytes as u64));
            BindingResource::Buffer(BufferBinding { buffer, offset, size })
        };
        let params = BindGroupEntry { binding: 0, resource: part(&self.params, 0, PARAMS) };
        let entries = (1..).zip(&key.1).map(|(binding, (buffer, first, words))| BindGroupEntry {
            binding,
            resource: part(buffer, 4 * first, 4 * words),
        });
        let entries: Vec<_> = std::iter::once(params).chain(entries).collect();
        let group = self.device.create_bind_group(&BindGroupDescriptor {
            label: None,
            layout: &program.layout,
            entries: &entries,
        });
        self.made(1);
        if kept.len() >= MOST_BIND_GROUPS {
            kept.clear();
        }
        kept.insert(key, group.clone());
        group
    }

    /// Cuts a kernel over so many parts into dispatches that are short enough: each part is so many operations.
    pub fn cut(&self, count: usize, work: usize) -> Result<impl Iterator<Item = Range<usize>>> {
        let (most, added) = (self.limits.get().work, count.saturating_mul(work));
        if self.work.get().saturating_add(added) / ENOUGH_WORK > most {
            self.send(MOST_DISPATCHES)?;
        }
        self.work.set(self.work.get().saturating_add(added));
        let at_once = (most / work.max(1)).clamp(1, MOST_GROUPS as usize);
        Ok((0..count).step_by(at_once).map(move |start| start..count.min(start + at_once)))
    }

    /// Sends what is recorded, at the end of a pass.
    pub fn submit(&self) -> Result<()> {
        self.send(FIRST_DISPATCHES)
    }

    /// Sends what is recorded; what follows is sent once there are so many dispatches.
    fn send(&self, enough: usize) -> Result<()> {
        self.lose_if_asked();
        self.enough.set(enough);
        self.work.set(0);
        let mut recording = std::mem::take(&mut *self.recording.borrow_mut());
        recording.pass = None; // ends it
        if let Some(mut encoder) = recording.encoder {
            if let Some(timer) = &*self.timer.borrow() {
                timer.resolve(&mut encoder);
            }
            if !recording.params.is_empty() {
                self.queue.write_buffer(&self.params, 0, &recording.params);
            }
            self.uploading.set(0);
            let mut in_flight = self.in_flight.borrow_mut();
            in_flight.push_back(self.queue.submit([encoder.finish()]));
            if in_flight.len() > MOST_IN_FLIGHT {
                let oldest = in_flight.pop_front();
                self.poll(PollType::Wait { submission_index: oldest, timeout: None })?;
            }
        }
        self.take_times()?;
        self.check()
    }
}

fn traced(kernel: Kernel, program: &Program, slices: &[Slice], groups: [u32; 3]) -> Dispatch {
    let binding = |(slice, &is_written): (&Slice, &bool)| Binding {
        role: slice.role,
        bytes: 4 * slice.words,
        moved: 4 * slice.moved,
        is_written,
    };
    Dispatch {
        kernel: format!("{kernel:?}"),
        groups,
        bindings: slices.iter().zip(&program.writes).map(binding).collect(),
        nanoseconds: None,
    }
}
