//! The part of the crate `zstd` that the crate `parquet` calls to read pages, over ruzstd. `[patch.crates-io]` in the
//! workspace's Cargo.toml puts it in that crate's place, whose code is C. It unpacks only: nothing here writes
//! Parquet files.

pub mod bulk {
    use std::io::{Cursor, Error, Read, Result};
    use std::marker::PhantomData;

    use ruzstd::decoding::StreamingDecoder;

    /// What a frame may have the decoder hold: what `zstd` itself allows without being asked.
    const MOST_WINDOW: u64 = 128 << 20;

    pub struct Decompressor<'a>(PhantomData<&'a ()>);

    impl Decompressor<'_> {
        pub fn new() -> Result<Self> {
            Ok(Decompressor(PhantomData))
        }

        /// Unpacks all frames into the room that is left behind the position. Gives the number of bytes.
        pub fn decompress_to_buffer(
            &mut self,
            mut source: &[u8],
            destination: &mut Cursor<&mut Vec<u8>>,
        ) -> Result<usize> {
            let start = usize::try_from(destination.position()).map_err(Error::other)?;
            let out = &mut **destination.get_mut();
            out.truncate(start);
            let room = (out.capacity() - out.len()) as u64;
            // Grows with what is there, not with what the file says.
            while !source.is_empty() {
                let frame = StreamingDecoder::new_with_max_window_size(&mut source, MOST_WINDOW);
                let mut frame = frame.map_err(|_| damaged())?;
                let left = room - (out.len() - start) as u64;
                frame.by_ref().take(left + 1).read_to_end(out).map_err(|_| damaged())?;
                if (out.len() - start) as u64 > room {
                    return Err(Error::other("a page has more bytes than it says"));
                }
                check_sum(&frame.decoder)?;
            }
            Ok(out.len() - start)
        }
    }

    fn check_sum(frame: &ruzstd::decoding::FrameDecoder) -> Result<()> {
        let said = frame.get_checksum_from_data();
        match said.is_none() || said == frame.get_calculated_checksum() {
            true => Ok(()),
            false => Err(damaged()),
        }
    }

    fn damaged() -> Error {
        Error::other("a page that is packed with zstd is damaged")
    }

    pub struct Compressor<'a>(PhantomData<&'a ()>);

    impl Compressor<'_> {
        pub fn new(_level: i32) -> Result<Self> {
            Ok(Compressor(PhantomData))
        }

        /// Fails: see above.
        pub fn compress_to_buffer(
            &mut self,
            _source: &[u8],
            _destination: &mut Cursor<&mut Vec<u8>>,
        ) -> Result<usize> {
            Err(Error::other("this library does not pack with zstd"))
        }
    }
}

pub mod zstd_safe {
    use std::convert::Infallible;

    /// A frame does not have to say how many bytes it holds.
    pub fn get_frame_content_size(_source: &[u8]) -> Result<Option<u64>, Infallible> {
        Ok(None)
    }

    /// The most that incompressible bytes grow to.
    pub fn compress_bound(bytes: usize) -> usize {
        bytes + bytes / 256 + 64
    }
}
