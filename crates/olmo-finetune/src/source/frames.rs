//! What is packed with zstd.

use std::io::{BufRead, Error as IoError, ErrorKind, Read};

use ruzstd::decoding::errors::FrameDecoderError;
use ruzstd::decoding::StreamingDecoder;

use super::packed::is_skippable;

/// What a frame may have the decoder hold: what `zstd` itself allows without being asked.
const MOST_WINDOW: u64 = 128 << 20;

/// A zstd file as one stream: frames one after the other, some of which hold no data.
pub struct Frames<R: BufRead> {
    /// None while a frame has it.
    reader: Option<R>,
    frame: Option<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>,
}

impl<R: BufRead> Frames<R> {
    pub fn new(reader: R) -> Frames<R> {
        Frames { reader: Some(reader), frame: None }
    }

    /// Begins the next frame. False at the end of the file.
    fn begin(&mut self) -> Result<bool, IoError> {
        let Some(mut reader) = self.reader.take() else { return Ok(false) };
        loop {
            let start = reader.fill_buf()?;
            if start.is_empty() {
                self.reader = Some(reader);
                return Ok(false);
            }
            if start.len() < 4 || !is_skippable(start) {
                break;
            }
            let mut head = [0; 8];
            reader.read_exact(&mut head)?;
            let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
            let skipped =
                std::io::copy(&mut reader.by_ref().take(length.into()), &mut std::io::sink())?;
            if skipped < u64::from(length) {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        let decoder = StreamingDecoder::new_with_max_window_size(reader, MOST_WINDOW);
        self.frame = Some(decoder.map_err(|error| match error {
            FrameDecoderError::WindowSizeTooBig { requested, .. } => unsupported(format!(
                "a frame takes {} MiB at a time, more than {}",
                requested >> 20,
                MOST_WINDOW >> 20
            )),
            FrameDecoderError::DictNotProvided { dict_id } => {
                unsupported(format!("a frame needs the dictionary {dict_id}"))
            }
            error => IoError::other(error),
        })?);
        Ok(true)
    }
}

fn unsupported(about: String) -> IoError {
    IoError::new(ErrorKind::Unsupported, about)
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, IoError> {
        loop {
            if self.frame.is_none() && !self.begin()? {
                return Ok(0);
            }
            let Some(frame) = &mut self.frame else { return Ok(0) };
            match frame.read(buffer)? {
                0 if !buffer.is_empty() => {
                    let said = frame.decoder.get_checksum_from_data();
                    if said.is_some() && said != frame.decoder.get_calculated_checksum() {
                        return Err(IoError::other("a checksum is not that of its bytes"));
                    }
                    self.reader = self.frame.take().map(StreamingDecoder::into_inner);
                }
                read => return Ok(read),
            }
        }
    }
}
