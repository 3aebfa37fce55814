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
    return unpack2x16float(word(at + i / 2u))[i % 2u];
}

// Byte `i` of the twelve behind the first word.
fn byte(words: vec4u, i: u32) -> u32 {
    return words[1u + i / 4u] >> (8u * (i % 4u)) & 255u;
}

// Of sub-block `j`: d and dmin are in the first word and twelve bytes behind it, as llama.cpp packs them.
fn scale_and_minimum(words: vec4u, j: u32) -> vec2f {
    var packed: vec2u;
    if j < 4u {
        packed = vec2u(byte(words, j), byte(words, j + 4u)) & vec2u(63u);
    } else {
        let low = byte(words, j + 4u);
        let high = vec2u(byte(words, j - 4u), byte(words, j)) >> vec2u(6u);
        packed = vec2u(low & 15u, low >> 4u) | high << vec2u(4u);
    }
    return unpack2x16float(words.x) * vec2f(packed);
}
