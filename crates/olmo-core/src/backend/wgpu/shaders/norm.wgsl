// What the numbers of a row are multiplied by so that their mean square is one, from the squares that each invocation has
// added up.
fn scale_of(squares: f32, width: u32, at: At) -> f32 {
    return 1.0 / sqrt(total(squares, at) / f32(width) + p.eps);
}
