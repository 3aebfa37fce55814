// What the formats of blocks have in common.

fn nibbles(word: u32) -> Unit {
    return Unit(
        vec4f(vec4u(word, word >> 4u, word >> 8u, word >> 12u) & vec4u(15u)),
        vec4f(vec4u(word >> 16u, word >> 20u, word >> 24u, word >> 28u) & vec4u(15u)),
    );
}

fn bits(word: u32) -> vec4f {
    return vec4f(vec4u(word, word >> 1u, word >> 2u, word >> 3u) & vec4u(1u));
}

fn pairs(word: u32) -> vec4f {
    return vec4f(vec4u(word, word >> 2u, word >> 4u, word >> 6u) & vec4u(3u));
}

fn signed_bytes(word: u32) -> vec4f {
    return vec4f(bitcast<vec4i>(vec4u(word << 24u, word << 16u, word << 8u, word)) >> vec4u(24u));
}

// Number `i` of those that lie two a word from `at` on.
fn halves(at: u32, i: u32) -> f32 {
    return unpack2x16float(w[at + i / 2u])[i % 2u];
}

fn byte(at: u32, i: u32) -> u32 {
    return w[at + i / 4u] >> (8u * (i % 4u)) & 255u;
}

// Of sub-block `j`, with d and dmin in the word at `at` and twelve bytes behind it, as llama.cpp packs them.
fn scale_and_minimum(at: u32, j: u32) -> vec2f {
    var packed: vec2u;
    if j < 4u {
        packed = vec2u(byte(at + 1u, j), byte(at + 1u, j + 4u)) & vec2u(63u);
    } else {
        let low = byte(at + 1u, j + 4u);
        let high = vec2u(byte(at + 1u, j - 4u), byte(at + 1u, j)) >> vec2u(6u);
        packed = vec2u(low & 15u, low >> 4u) | high << vec2u(4u);
    }
    return unpack2x16float(w[at]) * vec2f(packed);
}
