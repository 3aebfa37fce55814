// Items are those of lists, each a sorted run; every second is turned round.
fn load_runs(row: u32, at: At) {
    for (var i = at.lane; i < ITEMS; i += NORM_SIZE) {
        let run = i / WANTED;
        let list = at.group.x * (ITEMS / WANTED) + run;
        var item = NOWHERE;
        if list < p.count {
            let within = select(i % WANTED, WANTED - 1u - i % WANTED, run % 2u == 1u);
            let first = (row * p.count + list) * LIST_WORDS + within;
            item = vec2u(x[first], x[first + WANTED]);
        }
        items[i] = item;
    }
}

fn part_of_sum(row: u32, largest: f32, temperature: f32, at: At) -> f32 {
    var sum = 0.0;
    for (var run = at.lane; run < ITEMS / WANTED; run += NORM_SIZE) {
        let list = at.group.x * (ITEMS / WANTED) + run;
        if list < p.count {
            let first = (row * p.count + list) * LIST_WORDS;
            let key = x[first];
            if key > LOWEST {
                let scale = exp((number_of(key) - largest) / temperature);
                sum += bitcast<f32>(x[first + 2u * WANTED]) * scale;
            }
        }
    }
    return sum;
}
