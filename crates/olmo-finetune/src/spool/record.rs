//! What the log says of an example.

use crate::labels::Reason;

/// What is true of an example.
pub mod flags {
    /// The length cut it.
    pub const CUT: u16 = 1;
    /// It does not end with the token that ends a text.
    pub const NO_END: u16 = 2;
    /// Its messages spell added tokens.
    pub const SPELLS_TOKENS: u16 = 4;
    /// The other rule of labels would drop it.
    pub const OTHER_DROPS: u16 = 8;
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    pub line: u64,
    /// Index of the source's file.
    pub file: u32,
    /// Bytes of the ids.
    pub body: u32,
    /// Ids, each of which has a byte in the mask.
    pub tokens: u32,
    pub labelled: u32,
    /// Labelled tokens outside of answers.
    pub beside: u32,
    /// Tokens that the other rule would label.
    pub other: u32,
    /// Bytes of what is wrong with the row.
    pub problem: u32,
    pub flags: u16,
    /// Of [`Reason`]; 0 if it is kept.
    pub reason: u8,
    /// Of `Shape`.
    pub shape: u8,
}

impl Record {
    pub const SIZE: usize = 44;

    /// Bytes of its example.
    pub fn bytes(&self) -> u64 {
        u64::from(self.body) + u64::from(self.tokens) + u64::from(self.problem)
    }

    pub fn reason(&self) -> Option<Reason> {
        Reason::of(self.reason)
    }

    pub fn is(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    pub fn to_bytes(&self) -> [u8; Record::SIZE] {
        let mut bytes = [0; Record::SIZE];
        bytes[..8].copy_from_slice(&self.line.to_le_bytes());
        let numbers = [
            self.file,
            self.body,
            self.tokens,
            self.labelled,
            self.beside,
            self.other,
            self.problem,
            u32::from(self.flags) | u32::from(self.reason) << 16 | u32::from(self.shape) << 24,
        ];
        for (index, number) in numbers.into_iter().enumerate() {
            bytes[8 + 4 * index..12 + 4 * index].copy_from_slice(&number.to_le_bytes());
        }
        let sum = checksum(&bytes[..Record::SIZE - 4]);
        bytes[Record::SIZE - 4..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    /// None if it is not whole.
    pub fn from_bytes(bytes: &[u8; Record::SIZE]) -> Option<Record> {
        let number = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if number(Record::SIZE - 4) != checksum(&bytes[..Record::SIZE - 4]) {
            return None;
        }
        let last = number(36);
        Some(Record {
            line: u64::from(number(0)) | u64::from(number(4)) << 32,
            file: number(8),
            body: number(12),
            tokens: number(16),
            labelled: number(20),
            beside: number(24),
            other: number(28),
            problem: number(32),
            flags: last as u16,
            reason: (last >> 16) as u8,
            shape: (last >> 24) as u8,
        })
    }
}

/// FNV-1a; not 0 for zeros, which is what a file system leaves where nothing was written.
fn checksum(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811C_9DC5, |sum, &byte| (sum ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_and_a_damaged_one_does_not() {
        let record = Record {
            line: 1 << 40,
            file: 1,
            body: 2,
            tokens: 3,
            labelled: 4,
            beside: 5,
            other: 6,
            problem: 7,
            flags: flags::CUT | flags::NO_END,
            reason: Reason::SpanRunsOn as u8,
            shape: 3,
        };
        let mut bytes = record.to_bytes();
        assert_eq!(Record::from_bytes(&bytes), Some(record));
        bytes[20] ^= 1;
        assert_eq!(Record::from_bytes(&bytes), None);
        assert_eq!(Record::from_bytes(&[0; Record::SIZE]), None);
    }
}
