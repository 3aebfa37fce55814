// One unit of the row that begins at a word.
fn weights(row: u32, unit: u32) -> Unit {
    return pack_unit(pack_load(row, unit / PACK_UNITS), unit % PACK_UNITS);
}
