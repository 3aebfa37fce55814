// Products of one to eight rows of activations with rows of weights, "lines": a workgroup computes a few lines for all
// rows, so that each weight is read once and an activation serves several of them. Its invocations share the inputs out.
struct Segment {
    groups: u32,    // the first workgroup behind those of this segment
    kind: u32,      // which of the kernel's types its weights have
    lines: u32,
    w: u32,         // the word at which they begin
    row_words: u32,
    y: u32,         // where the first line's numbers begin in y
    width: u32,     // numbers of a row there
    unused: u32,
}
struct Params { inputs: u32, units: u32, groups: u32, unused: u32, segments: array<Segment, 3> }
@group(0) @binding(0) var<uniform> p: Params;
@group(0) @binding(1) var<storage, read> w: array<vec4u>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

const SIZE = 64u;
const LINES = 4u;
var<workgroup> sums_of: array<array<vec4f, ROWS>, SIZE>; // a vector has a number for each line

// Where a line of a segment begins. Beyond the last it is the last, whose numbers are then not wanted.
fn line_start(segment: Segment, line: u32) -> u32 {
    return segment.w + min(line, segment.lines - 1u) * segment.row_words;
}
