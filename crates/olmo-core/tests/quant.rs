//! The block formats against llama.cpp, byte for byte, and their properties.

mod support;

use candle_core::safetensors::MmapedSafetensors;
use candle_core::Device;
use olmo_core::quant::{BlockType, Unquantizable};
use proptest::prelude::*;
use support::golden;

/// Rows of weights, and what llama.cpp made of them: `scripts/golden/make_quant.py`.
struct Golden(MmapedSafetensors);

impl Golden {
    fn open() -> Golden {
        let file = golden("quant").join("blocks.safetensors");
        // SAFETY: a fixture that nobody changes while tests run.
        Golden(unsafe { MmapedSafetensors::new(file) }.unwrap())
    }

    fn f32(&self, name: &str) -> Vec<Vec<f32>> {
        let tensor = self.0.load(name, &Device::Cpu).unwrap();
        let rows = match tensor.rank() {
            1 => tensor.unsqueeze(0).unwrap(),
            _ => tensor,
        };
        rows.to_vec2().unwrap()
    }

    fn bytes(&self, block: BlockType, name: &str) -> Vec<Vec<u8>> {
        let name = format!("{}.{name}", block.name());
        self.0.load(&name, &Device::Cpu).unwrap().to_vec2().unwrap()
    }

    fn numbers(&self, block: BlockType, name: &str) -> Vec<Vec<f32>> {
        self.f32(&format!("{}.{name}", block.name()))
    }
}

fn quantize(block: BlockType, row: &[f32], importance: Option<&[f32]>) -> Vec<u8> {
    let mut blocks = vec![0; block.bytes(row.len()).unwrap()];
    block.quantize(row, importance, &mut blocks).unwrap();
    blocks
}

fn dequantize(block: BlockType, blocks: &[u8]) -> Vec<f32> {
    let mut out = vec![0.0; blocks.len() / block.block_bytes() * block.block_len()];
    block.dequantize(blocks, &mut out);
    out
}

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// Which blocks of a row are others than those expected.
fn other_blocks(block: BlockType, got: &[u8], expected: &[u8]) -> Vec<usize> {
    let size = block.block_bytes();
    let pairs = got.chunks(size).zip(expected.chunks(size)).enumerate();
    pairs.filter(|(_, (got, expected))| got != expected).map(|(i, _)| i).collect()
}

#[test]
fn blocks_are_those_of_llama_cpp() {
    let golden = Golden::open();
    let rows = golden.f32("rows");
    let importance = golden.f32("importance").remove(0);
    for block in BlockType::ALL {
        for (name, importance) in
            [("blocks", None), ("important_blocks", Some(importance.as_slice()))]
        {
            let expected = golden.bytes(block, name);
            assert_eq!(expected.len(), rows.len());
            for (i, (row, expected)) in rows.iter().zip(&expected).enumerate() {
                let others = other_blocks(block, &quantize(block, row, importance), expected);
                assert!(others.is_empty(), "{} {name}: row {i}, blocks {others:?}", block.name());
            }
        }
    }
}

#[test]
fn a_row_need_not_be_whole_groups_of_blocks() {
    let golden = Golden::open();
    let importance = golden.f32("importance").remove(0);
    for block in BlockType::ALL.into_iter().filter(|block| block.block_len() == 32) {
        for (row, expected) in golden.f32("rows").iter().zip(golden.bytes(block, "short_blocks")) {
            let columns = expected.len() / block.block_bytes() * block.block_len();
            assert_ne!(columns, row.len());
            let got = quantize(block, &row[..columns], Some(&importance[..columns]));
            assert_eq!(got, expected, "{}", block.name());
        }
    }
}

#[test]
fn blocks_stand_for_the_numbers_of_llama_cpp() {
    let golden = Golden::open();
    for block in BlockType::ALL {
        for (blocks, numbers) in [("blocks", "numbers"), ("noise", "noise_numbers")] {
            let expected = golden.numbers(block, numbers);
            for (blocks, expected) in golden.bytes(block, blocks).iter().zip(&expected) {
                let got = dequantize(block, blocks);
                assert_eq!(got.len(), expected.len());
                for (i, (got, expected)) in got.iter().zip(expected).enumerate() {
                    let same = got.to_bits() == expected.to_bits();
                    let name = block.name();
                    assert!(same || got.is_nan() && expected.is_nan(), "{name}: weight {i}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_number_is_refused() {
    for block in BlockType::ALL {
        for bad in [f32::NAN, -f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let mut row = vec![1.0; 512];
            row[300] = bad;
            let mut blocks = vec![0; block.bytes(row.len()).unwrap()];
            for importance in [None, Some(vec![1.0; 512])] {
                let result = block.quantize(&row, importance.as_deref(), &mut blocks);
                assert_eq!(result, Err(Unquantizable::NotFinite), "{} {bad}", block.name());
            }
        }
        for large in [1e12, f32::MAX] {
            let row: Vec<f32> = (0..256).map(|i| if i % 2 == 0 { large } else { -large }).collect();
            let mut blocks = vec![0; block.bytes(row.len()).unwrap()];
            let result = block.quantize(&row, None, &mut blocks);
            assert_eq!(result, Err(Unquantizable::TooLarge), "{} {large}", block.name());
        }
    }
}

/// A bound on the error of any weight, as a share of the largest weight of the block: a format has so
/// many steps across twice that size, of which rounding errs by half; the scales of the K formats are
/// themselves rounded, and their search may trade the error of one weight for that of others.
fn error_bound(block: BlockType) -> f32 {
    match block {
        BlockType::Q8_0 => 1.0 / 127.0 / 2.0 + 0.001,
        BlockType::Q5_0 => 1.0 / 16.0 + 0.001,
        BlockType::Q4_0 => 1.0 / 8.0 + 0.001,
        BlockType::Q4K => 2.0 / 15.0,
        BlockType::Q5K => 2.0 / 31.0,
        BlockType::Q6K => 2.0 / 32.0,
    }
}

/// Rows of one block of 256: weights of a common size, some of which are larger.
fn weights() -> impl Strategy<Value = Vec<f32>> {
    let weight = prop_oneof![4 => -1.0f32..1.0, 1 => -8.0f32..8.0, 1 => Just(0.0)];
    (prop::collection::vec(weight, 256), -3i32..12)
        .prop_map(|(row, power)| row.iter().map(|x| x * 2f32.powi(power)).collect())
}

proptest! {
    #[test]
    fn a_round_trip_errs_by_a_share_of_the_largest_weight(row in weights()) {
        for block in BlockType::ALL {
            let back = dequantize(block, &quantize(block, &row, None));
            for (x, back) in row.chunks(block.block_len()).zip(back.chunks(block.block_len())) {
                let largest = x.iter().fold(0.0f32, |largest, x| largest.max(x.abs()));
                // 16-bit scales lose precision below 6e-5, and are multiplied with 63 · 31.
                let bound = largest * error_bound(block) + 1e-4;
                for (x, back) in x.iter().zip(back) {
                    prop_assert!((x - back).abs() <= bound, "{}: {x} {back}", block.name());
                }
            }
        }
    }

    #[test]
    fn quantising_what_came_out_changes_nothing_more_than_a_step(row in weights()) {
        for block in BlockType::ALL.into_iter().filter(|block| block.block_len() == 32) {
            let once = dequantize(block, &quantize(block, &row, None));
            let twice = dequantize(block, &quantize(block, &once, None));
            for (once, twice) in once.iter().zip(&twice) {
                prop_assert!((once - twice).abs() <= once.abs() * 2e-3 + 1e-6, "{once} {twice}");
            }
        }
    }

    #[test]
    fn any_weights_with_any_importance_give_blocks_or_an_error(
        row in prop::collection::vec(any::<f32>(), 256),
        importance in prop::collection::vec(0.0f32..1e6, 256),
    ) {
        for block in BlockType::ALL {
            let mut blocks = vec![0; block.bytes(256).unwrap()];
            for importance in [None, Some(importance.as_slice())] {
                if block.quantize(&row, importance, &mut blocks).is_ok() {
                    let numbers = dequantize(block, &blocks);
                    prop_assert!(numbers.iter().all(|x| x.is_finite()), "{}", block.name());
                }
            }
        }
    }

    #[test]
    fn any_bits_are_a_block(bytes in prop::collection::vec(any::<u8>(), 210)) {
        for block in BlockType::ALL {
            let blocks = &bytes[..block.block_bytes()];
            let (once, again) = (dequantize(block, blocks), dequantize(block, blocks));
            prop_assert_eq!(bits(&once), bits(&again));
            prop_assert_eq!(once.len(), block.block_len());
        }
    }
}
