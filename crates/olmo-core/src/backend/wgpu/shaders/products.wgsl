// What the products of many rows are given: y = x · wᵀ, [rows, inputs] · [outputs, inputs]ᵀ → [rows, outputs].
struct Params {
    rows: u32, inputs: u32, units: u32, row_words: u32,
    first: u32,   // the output that this part of the matrix begins with
    count: u32,   // outputs of this part
    outputs: u32, // of the whole matrix
    w: u32,       // the word at which its weights begin
    tile: u32,    // the first tile of outputs of this dispatch
}
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
