// A row of the batch, for attention: its place in the cache, where its sequence's blocks begin in the list of all and
// which block of the sequence that is, and the positions that it sees: from the first on to its own.
struct Row { slot: u32, table: u32, first_block: u32, first_seen: u32, position: u32 }
