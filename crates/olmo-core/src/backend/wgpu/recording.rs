//! Commands that were not sent yet.

use wgpu::{CommandEncoder, ComputePass, Device};

#[derive(Default)]
pub(super) struct Recording {
    pub encoder: Option<CommandEncoder>,
    /// Ends when it is dropped; until then the encoder takes nothing else.
    pub pass: Option<ComputePass<'static>>,
    /// The parameters of all dispatches, each in its place in the buffer that they are sent in.
    pub params: Vec<u8>,
}

impl Recording {
    /// For commands outside of a compute pass.
    pub fn encoder(&mut self, device: &Device) -> &mut CommandEncoder {
        self.pass = None;
        self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()))
    }

    pub fn pass(&mut self, device: &Device) -> &mut ComputePass<'static> {
        let encoder =
            self.encoder.get_or_insert_with(|| device.create_command_encoder(&Default::default()));
        self.pass.get_or_insert_with(|| {
            encoder.begin_compute_pass(&Default::default()).forget_lifetime()
        })
    }
}
