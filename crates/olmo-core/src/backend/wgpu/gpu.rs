//! A device with its queue: buffers, kernels and the commands that wait to be sent.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::sync::{mpsc, Arc, Mutex, PoisonError};

use pollster::block_on;
use wgpu::{
    BufferDescriptor, BufferUsages, DeviceDescriptor, ExperimentalFeatures, Features, MapMode,
    MemoryHints, PollType, SubmissionIndex, Trace as ApiTrace,
};

use super::buffers::{Pool, Pooled};
use super::cooperative::{Cooperative, Units};
use super::kernels::{Kernel, Sums, PLAIN, SUBGROUPS};
use super::program::Program;
use super::recording::{BindGroups, Recording, MOST_DISPATCHES, MOST_WORK, PARAMS_STRIDE};
use super::slice::Tensor;
use super::timer::Timer;
use super::trace::Trace;
use crate::device::{losses, Adapter};
use crate::error::{Amount, Hint};
use crate::{Error, Result};

/// Bytes that are on their way to the device at once.
const UPLOAD_BYTES: usize = 64 << 20;

/// What a device is given at once, at most.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of a buffer that a kernel sees.
    pub bytes: usize,
    /// Floating-point operations of a dispatch.
    pub work: usize,
}

/// What went wrong on the device since it was opened: the first of it.
type Failure = Arc<Mutex<Option<Error>>>;

pub(super) struct Gpu {
    pub(super) name: String,
    pub(super) device: wgpu::Device,
    pub(super) queue: wgpu::Queue,
    failure: Failure,
    /// How often GPUs had been lost on purpose when it was opened.
    losses: usize,
    pool: Arc<Pool>,
    pub(super) params: wgpu::Buffer,
    pub(super) limits: Cell<Limits>,
    /// What its kernels take sums with.
    pub(super) sums: Cell<&'static Sums>,
    pub(super) cooperative: Cooperative,
    pub(super) programs: RefCell<HashMap<Kernel, Program>>,
    pub(super) bind_groups: RefCell<BindGroups>,
    pub(super) recording: RefCell<Recording>,
    /// Dispatches after which commands are sent.
    pub(super) enough: Cell<usize>,
    /// Floating-point operations that were recorded and not sent.
    pub(super) work: Cell<usize>,
    pub(super) in_flight: RefCell<VecDeque<SubmissionIndex>>,
    /// Bytes that were written and not sent.
    pub(super) uploading: Cell<usize>,
    /// Where numbers come back to.
    staging: RefCell<Option<wgpu::Buffer>>,
    pub(super) trace: RefCell<Option<Trace>>,
    pub(super) timer: RefCell<Option<Timer>>,
}

impl Gpu {
    /// Opens it for kernels with cooperative matrices, if any are given.
    pub fn open(adapter: &Adapter, units: Option<Units>) -> Result<Gpu> {
        let wanted = Features::SUBGROUP | Features::TIMESTAMP_QUERY;
        let wanted = units.map_or(wanted, |_| wanted | Units::FEATURES);
        let features = adapter.inner().features() & wanted;
        let sums = if features.contains(Features::SUBGROUP) { &SUBGROUPS } else { &PLAIN };
        let descriptor = DeviceDescriptor {
            label: Some("olmo2"),
            required_features: features,
            required_limits: adapter.inner().limits(),
            experimental_features: match units {
                // SAFETY: of what is experimental only cooperative matrices are asked for. The kernel that has them loads
                // and stores them in shared memory, where constants bound every place, and none is used on a driver that
                // did not multiply right with them.
                Some(_) => unsafe { ExperimentalFeatures::enabled() },
                None => ExperimentalFeatures::disabled(),
            },
            memory_hints: MemoryHints::Performance,
            trace: ApiTrace::Off,
        };
        let (device, queue) =
            block_on(adapter.inner().request_device(&descriptor)).map_err(|error| {
                Error::DeviceUnavailable {
                    device: adapter.name.clone(),
                    reason: format!("its driver does not open it ({error})").into(),
                }
            })?;
        let failure = Failure::default();
        watch(&device, &adapter.name, &failure);
        let params = device.create_buffer(&BufferDescriptor {
            label: Some("params"),
            size: (MOST_DISPATCHES * PARAMS_STRIDE) as u64,
            usage: BufferUsages::UNIFORM | BufferUsages::COPY_DST,
            mapped_at_creation: false,
        });
        let most = device.limits();
        let bytes = most.max_storage_buffer_binding_size.min(most.max_buffer_size);
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX) / 4 * 4;
        Ok(Gpu {
            name: adapter.name.clone(),
            limits: Cell::new(Limits { bytes, work: MOST_WORK }),
            device,
            queue,
            failure,
            losses: losses(),
            pool: Arc::default(),
            params,
            sums: Cell::new(sums),
            cooperative: Cooperative::new(units),
            programs: RefCell::default(),
            bind_groups: RefCell::default(),
            recording: RefCell::default(),
            enough: Cell::new(MOST_DISPATCHES),
            work: Cell::default(),
            in_flight: RefCell::default(),
            uploading: Cell::default(),
            staging: RefCell::default(),
            trace: RefCell::default(),
            timer: RefCell::default(),
        })
    }

    /// Fails if anything on the device has.
    pub fn check(&self) -> Result<()> {
        match &*self.failure.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(error) => Err(error.clone()),
            None => Ok(()),
        }
    }

    /// The most bytes that a kernel can see of one buffer.
    pub fn most_bytes(&self) -> usize {
        self.limits.get().bytes
    }

    /// Gives the device less at once than it takes.
    pub fn lower(&self, limits: Limits) {
        let Limits { bytes, work } = self.limits.get();
        self.limits.set(Limits { bytes: bytes.min(limits.bytes), work: work.min(limits.work) });
    }

    /// A buffer that stays, filled with zeros.
    pub fn buffer(&self, words: usize, what: &str) -> Result<wgpu::Buffer> {
        let bytes = self.checked_bytes(words, what)?;
        let buffer = self.device.create_buffer(&BufferDescriptor {
            label: Some(what),
            size: bytes,
            usage: BufferUsages::STORAGE | BufferUsages::COPY_DST | BufferUsages::COPY_SRC,
            mapped_at_creation: false,
        });
        self.check()?;
        Ok(buffer)
    }

    /// A buffer that stays, with these words.
    pub fn upload_to_stay(&self, words: &[u32], what: &str) -> Result<wgpu::Buffer> {
        let buffer = self.buffer(words.len(), what)?;
        self.write(&buffer, 0, words)?;
        Ok(buffer)
    }

    /// A buffer of a pass, with any content.
    pub fn scratch(&self, words: usize) -> Result<Pooled> {
        let bytes = self.checked_bytes(words, "the activations of a batch")?;
        let before = self.pool.count();
        let buffer = Pool::take(&self.pool, &self.device, bytes);
        self.made(self.pool.count() - before);
        Ok(buffer)
    }

    /// Activations of these widths, side by side in a buffer.
    pub fn tensors<const N: usize>(&self, rows: usize, widths: [usize; N]) -> Result<[Tensor; N]> {
        Ok(Tensor::of(self.scratch(Tensor::words(rows, &widths))?, rows, widths))
    }

    /// Tells the trace of buffers or bind groups.
    pub(super) fn made(&self, count: usize) {
        if let Some(trace) = &*self.trace.borrow() {
            trace.made(count);
        }
    }

    fn checked_bytes(&self, words: usize, what: &str) -> Result<u64> {
        let bytes = words.max(1).saturating_mul(4);
        match bytes <= self.most_bytes() {
            true => Ok(bytes as u64),
            false => Err(Error::NotEnoughMemory {
                what: format!("{what} on {}", self.name),
                need: Amount::Bytes(bytes as u64),
                have: Some(Amount::Bytes(self.most_bytes() as u64)),
                hint: Hint::FewerSequences,
            }),
        }
    }

    /// Puts words into a buffer, before anything that is recorded from now on.
    ///
    /// Nothing may be recorded that uses the buffer and has not been sent.
    pub fn write(&self, buffer: &wgpu::Buffer, offset: usize, words: &[u32]) -> Result<()> {
        for (index, part) in words.chunks(UPLOAD_BYTES / 4).enumerate() {
            let bytes: Vec<u8> = part.iter().flat_map(|word| word.to_le_bytes()).collect();
            let place = offset + index * UPLOAD_BYTES;
            self.queue.write_buffer(buffer, place as u64, &bytes);
            self.uploading.set(self.uploading.get() + bytes.len());
            // Until it is sent, it is in memory a second time.
            if self.uploading.get() >= UPLOAD_BYTES {
                self.uploading.set(0);
                self.queue.submit([]);
                self.wait()?;
            }
        }
        self.check()
    }

    /// Words of a batch on the device, as scratch.
    pub fn upload(&self, words: &[u32]) -> Result<Pooled> {
        let buffer = self.scratch(words.len())?;
        self.write(buffer.buffer(), 0, words)?;
        Ok(buffer)
    }

    /// Waits until all that was sent is done.
    fn wait(&self) -> Result<()> {
        self.in_flight.borrow_mut().clear();
        self.poll(PollType::wait_indefinitely())
    }

    pub(super) fn poll(&self, wait: PollType) -> Result<()> {
        let polled = self.device.poll(wait);
        self.check()?;
        polled.map(drop).map_err(|error| self.failed(error))
    }

    fn failed(&self, reason: impl std::fmt::Display) -> Error {
        Error::DeviceFailed { device: self.name.clone(), reason: reason.to_string() }
    }

    /// Records a copy of words within a buffer, through another one: the two places must not be one command's.
    pub fn copy(
        &self,
        buffer: &wgpu::Buffer,
        [from, into]: [usize; 2],
        words: usize,
    ) -> Result<()> {
        let between = self.scratch(words)?;
        let [from, into, bytes] = [from, into, words].map(|words| 4 * words as u64);
        let mut recording = self.recording.borrow_mut();
        let encoder = recording.encoder(&self.device);
        encoder.copy_buffer_to_buffer(buffer, from, between.buffer(), 0, bytes);
        encoder.copy_buffer_to_buffer(between.buffer(), 0, buffer, into, bytes);
        Ok(())
    }

    /// Words of a buffer, after all that was recorded.
    pub fn read(&self, buffer: &wgpu::Buffer, offset: usize, words: usize) -> Result<Vec<u32>> {
        let mut found = Vec::with_capacity(words);
        self.read_into(&mut found, buffer, [offset, words], |word| word)?;
        Ok(found)
    }

    /// The same appended to a vector, each word turned into a number.
    pub fn read_into<T>(
        &self,
        found: &mut Vec<T>,
        buffer: &wgpu::Buffer,
        [offset, words]: [usize; 2],
        number: impl Fn(u32) -> T,
    ) -> Result<()> {
        let bytes = 4 * words as u64;
        if bytes == 0 {
            return Ok(());
        }
        if let Some(trace) = &*self.trace.borrow() {
            trace.read(bytes);
        }
        let kept = self.staging.take();
        let staging = kept.filter(|staging| staging.size() >= bytes).unwrap_or_else(|| {
            self.made(1);
            self.device.create_buffer(&BufferDescriptor {
                label: Some("staging"),
                size: bytes.next_power_of_two(),
                usage: BufferUsages::MAP_READ | BufferUsages::COPY_DST,
                mapped_at_creation: false,
            })
        });
        self.recording.borrow_mut().encoder(&self.device).copy_buffer_to_buffer(
            buffer,
            4 * offset as u64,
            &staging,
            0,
            bytes,
        );
        self.submit()?;
        let (sender, receiver) = mpsc::channel();
        staging.map_async(MapMode::Read, 0..bytes, move |mapped| drop(sender.send(mapped)));
        self.wait()?;
        match receiver.try_recv() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(self.failed(error)),
            Err(error) => return Err(self.failed(error)),
        }
        let view = staging.get_mapped_range(0..bytes).map_err(|error| self.failed(error))?;
        let word = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        found.extend(view.chunks_exact(4).map(|bytes| number(word(bytes))));
        drop(view);
        staging.unmap();
        self.staging.replace(Some(staging));
        Ok(())
    }

    /// Loses the device, if GPUs have been lost on purpose since it was opened.
    pub(super) fn lose_if_asked(&self) {
        if self.losses != losses() {
            self.device.destroy();
        }
    }

    /// Loses the device on purpose.
    #[cfg(test)]
    pub fn destroy(&self) {
        self.device.destroy();
    }

    #[cfg(test)]
    pub fn device(&self) -> wgpu::Device {
        self.device.clone()
    }
}

/// Keeps the first thing that goes wrong on a device; without a watcher wgpu would end the process.
fn watch(device: &wgpu::Device, name: &str, failure: &Failure) {
    let keep = |failure: &Failure, name: &str, reason: String| {
        let mut first = failure.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert(Error::DeviceFailed { device: name.to_owned(), reason });
    };
    let (named, kept) = (name.to_owned(), failure.clone());
    device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
        keep(&kept, &named, error.to_string());
    }));
    let (named, kept) = (name.to_owned(), failure.clone());
    device.set_device_lost_callback(move |_, reason| {
        keep(&kept, &named, format!("the device was lost: {reason}"));
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::Device;

    fn software_gpu(test: &str) -> Option<Gpu> {
        match Device::SoftwareGpu.adapter() {
            Ok(adapter) => Some(Gpu::open(&adapter, None).expect("a device")),
            Err(error) => {
                println!("not run: {test}: {error}");
                None
            }
        }
    }

    #[test]
    fn words_go_and_come_back() {
        let Some(gpu) = software_gpu("words_go_and_come_back") else { return };
        let words: Vec<u32> = (0..1000).collect();
        let buffer = gpu.upload(&words).expect("room");
        assert_eq!(gpu.read(buffer.buffer(), 0, 1000).expect("words"), words);
        assert_eq!(gpu.read(buffer.buffer(), 10, 3).expect("words"), [10, 11, 12]);
        assert!(gpu.read(buffer.buffer(), 0, 0).expect("nothing").is_empty());
    }

    #[test]
    fn a_buffer_beyond_the_device_is_an_error() {
        let Some(gpu) = software_gpu("a_buffer_beyond_the_device_is_an_error") else { return };
        for words in [gpu.most_bytes() / 4 + 1, usize::MAX] {
            let error = gpu.scratch(words).err().expect("too large");
            assert_eq!(error.code(), "NOT_ENOUGH_MEMORY");
        }
    }

    /// What is asked of it afterwards fails, with the reason, and nothing hangs or panics.
    #[test]
    fn a_lost_device_is_an_error() {
        let Some(gpu) = software_gpu("a_lost_device_is_an_error") else { return };
        let buffer = gpu.upload(&[1, 2, 3]).expect("room");
        gpu.destroy();
        let error = gpu.read(buffer.buffer(), 0, 3).expect_err("it is gone");
        assert_eq!(error.code(), "DEVICE_FAILED", "{error}");
        let again = gpu.upload(&[4]).err().map(|error| error.code());
        assert_eq!(again, Some("DEVICE_FAILED"));
    }
}
