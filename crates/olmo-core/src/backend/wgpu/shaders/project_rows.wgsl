// y = x · wᵀ of up to three matrices for a few rows: [rows, inputs] · [outputs, inputs]ᵀ → [rows, outputs] each. A segment
// is a matrix, or the part of one that lies in a buffer.
@compute @workgroup_size(SIZE)
fn main(at: At) {
    let lane = at.lane;
    let group = at.group.y * at.groups.x + at.group.x;
    if group >= p.groups { return; }
    var first_group = 0u;
    var index = 0u;
    while group >= p.segments[index].groups {
        first_group = p.segments[index].groups;
        index += 1u;
    }
    let segment = p.segments[index];
    let line = (group - first_group) * LINES;
    let sums = multiply(segment.kind, vec4u(
        line_start(segment, line),
        line_start(segment, line + 1u),
        line_start(segment, line + 2u),
        line_start(segment, line + 3u),
    ), lane);
    reduce(sums, at);
    let row = lane / LINES;
    let output = line + lane % LINES;
    if row < ROWS && output < segment.lines {
        y[segment.y + row * segment.width + output] = sums_of[0][row][lane % LINES];
    }
}
