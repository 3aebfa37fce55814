//! A GPU that fails while a model runs on it: the requests end with a typed error, the process goes on, and the model
//! can be loaded again.

use super::gpu_test_support::OnGpu;
use super::Engine;
use crate::engine::Event;
use crate::sampling::GenerationOptions;
use crate::Result;

fn on_gpu(test: &str, cpu_layers: usize) -> Option<(Engine, wgpu::Device)> {
    let OnGpu { loaded, device, .. } = OnGpu::load(test, cpu_layers)?;
    Some((Engine::run(loaded).expect("a thread"), device))
}

/// So many tokens, or the error.
fn tokens(engine: &Engine, count: usize) -> Result<Vec<u32>> {
    let options = GenerationOptions { max_new_tokens: count, ..GenerationOptions::default() };
    let generation = engine.generate(vec![vec![1, 2, 3]], options)?;
    let mut tokens = Vec::new();
    while let Some(events) = generation.next_blocking() {
        for event in events? {
            if let Event::Token { token, .. } = event {
                tokens.push(token.id);
            }
        }
    }
    Ok(tokens)
}

#[test]
fn a_lost_device_ends_requests_and_nothing_else() {
    for cpu_layers in [0, 1] {
        let test = "a_lost_device_ends_requests_and_nothing_else";
        let Some((engine, device)) = on_gpu(test, cpu_layers) else { return };
        let before = tokens(&engine, 20).expect("it runs");

        let options = GenerationOptions { max_new_tokens: 120, ..GenerationOptions::default() };
        let in_work = engine.generate(vec![vec![1, 2, 3]; 3], options).expect("it is taken");
        let first = in_work.next_blocking().expect("it has begun");
        assert!(first.is_ok(), "tokens come");
        device.destroy();
        let error = loop {
            match in_work.next_blocking().expect("an error comes before the end") {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(error.code(), "DEVICE_FAILED", "{error}");
        assert!(in_work.next_blocking().is_none(), "and nothing after it");

        for _ in 0..2 {
            let error = tokens(&engine, 4).expect_err("the device stays lost");
            assert_eq!(error.code(), "DEVICE_FAILED", "{error}");
        }
        pollster::block_on(engine.dispose());
        assert_eq!(tokens(&engine, 4).expect_err("disposed").code(), "DISPOSED");

        let (again, _) = on_gpu(test, cpu_layers).expect("there was a driver before");
        assert_eq!(tokens(&again, 20).expect("another device runs"), before);
    }
}

/// What a driver refuses is heard of, too.
#[test]
fn a_command_that_the_device_refuses_ends_requests_with_its_reason() {
    let test = "a_command_that_the_device_refuses_ends_requests_with_its_reason";
    let Some((engine, device)) = on_gpu(test, 0) else { return };
    assert_eq!(tokens(&engine, 4).expect("it runs").len(), 4);
    drop(device.create_buffer(&wgpu::BufferDescriptor {
        label: Some("a buffer of no device"),
        size: 1 << 60,
        usage: wgpu::BufferUsages::STORAGE,
        mapped_at_creation: false,
    }));
    let error = tokens(&engine, 4).expect_err("the device has refused something");
    assert_eq!(error.code(), "DEVICE_FAILED");
    assert!(error.to_string().contains("a buffer of no device"), "{error}");
}
