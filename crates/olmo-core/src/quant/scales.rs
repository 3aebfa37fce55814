//! Scales and minima of `q4_k` and `q5_k`: eight of each, 6 bits wide, in twelve bytes.

/// Eight scales and eight minima, all below 64, in twelve bytes.
pub fn pack(scales: &[u8; 8], minima: &[u8; 8]) -> [u8; 12] {
    let mut packed = [0; 12];
    for j in 0..4 {
        packed[j] = scales[j] | scales[j + 4] >> 4 << 6;
        packed[j + 4] = minima[j] | minima[j + 4] >> 4 << 6;
        packed[j + 8] = scales[j + 4] & 15 | minima[j + 4] << 4;
    }
    packed
}

/// `(scale, minimum)` of sub-block `j`, of eight. The first four have bytes of their own, whose two
/// highest bits belong to the last four.
pub fn unpack(packed: &[u8; 12], j: usize) -> (u8, u8) {
    match j {
        0..4 => (packed[j] & 63, packed[j + 4] & 63),
        _ => {
            (packed[j + 4] & 15 | packed[j - 4] >> 6 << 4, packed[j + 4] >> 4 | packed[j] >> 6 << 4)
        }
    }
}
