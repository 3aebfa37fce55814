// Items are numbers of a row.
fn load_runs(row: u32, at: At) {
    for (var i = at.lane; i < ITEMS; i += NORM_SIZE) {
        let id = at.group.x * ITEMS + i;
        var item = NOWHERE;
        if id < p.count { item = vec2u(key_of(x[row * p.count + id]), id); }
        items[i] = item;
    }
    sort_runs(at);
}

fn part_of_sum(row: u32, largest: f32, temperature: f32, at: At) -> f32 {
    var sum = 0.0;
    for (var i = at.lane; i < ITEMS; i += NORM_SIZE) {
        let id = at.group.x * ITEMS + i;
        if id < p.count {
            let key = key_of(x[row * p.count + id]);
            if key > LOWEST { sum += exp((number_of(key) - largest) / temperature); }
        }
    }
    return sum;
}
