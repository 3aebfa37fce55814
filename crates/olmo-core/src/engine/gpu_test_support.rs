//! The golden checkpoint on a driver that computes on the CPU.

use crate::backend::cpu::CpuOps;
use crate::backend::split::SplitOps;
use crate::backend::wgpu::{Trace, WgpuOps};
use crate::cache::BLOCK_TOKENS;
use crate::checkpoint::{load, LoadOptions, Loaded, ModelSource};
use crate::device::Device;
use crate::dtype::DType;
use crate::model::{Model, Runtime};
use crate::weights::Access;

pub struct OnGpu {
    pub loaded: Loaded,
    pub device: wgpu::Device,
    /// What its kernels do.
    pub trace: Trace,
}

impl OnGpu {
    /// Its first layers on the CPU, if any; None where there is no such driver.
    pub fn load(test: &str, cpu_layers: usize) -> Option<OnGpu> {
        let adapter = match Device::SoftwareGpu.adapter() {
            Ok(adapter) => adapter,
            Err(error) => {
                println!("not run: {test}: {error}");
                return None;
            }
        };
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/tiny-mha-f32").into();
        let options = LoadOptions { path, device: Device::Cpu, ..LoadOptions::default() };
        let loaded = load(&options, &mut |_| Ok(())).expect("the golden checkpoint");
        let source = ModelSource::open(&options.path).expect("a checkpoint");
        let (config, checkpoint) = source.weights(Access::Map).expect("its weights");
        let trace = Trace::default();
        let gpu = WgpuOps::new(&adapter, None, &config, DType::F32.into()).expect("a device");
        let gpu = gpu.with_trace(trace.clone());
        let device = gpu.device();
        let blocks = loaded.info.memory.cache_tokens / BLOCK_TOKENS;
        let cpu = CpuOps::new(DType::F32, Some(1)).expect("an engine");
        let report = &mut |_| Ok(());
        let model: Box<dyn Model> = match cpu_layers {
            0 => Box::new(Runtime::load(gpu, &config, &checkpoint, blocks, report).expect("loads")),
            layers => {
                let ops = SplitOps::new(cpu, gpu, layers);
                Box::new(Runtime::load(ops, &config, &checkpoint, blocks, report).expect("loads"))
            }
        };
        Some(OnGpu { loaded: Loaded { model, ..loaded }, device, trace })
    }
}
