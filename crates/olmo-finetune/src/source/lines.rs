//! Lines of a stream, each of bounded length.

use std::io::{BufRead, Error as IoError, Read};
use std::path::Path;

use olmo_core::{files, Error, Result};
use ruzstd::decoding::StreamingDecoder;

use super::files::Take;
use super::Content;

/// The longest line that is taken for a conversation.
const MOST_LINE: usize = 64 << 20;

/// Gives every line that is not blank to `take`, counted from 1.
///
/// `failing` comes before what is wrong with the stream, if it is packed.
pub fn each(mut reader: impl BufRead, path: &Path, failing: &str, take: &mut Take) -> Result<()> {
    let mut number = 0;
    loop {
        let line = next(&mut reader).map_err(|error| match failing {
            "" => Error::io(path, error),
            failing => {
                let problem = format!("{failing}{error}, after line {number}");
                Error::InvalidFile { file: path.to_owned(), problem }
            }
        })?;
        let Some(line) = line else { return Ok(()) };
        number += 1;
        match line {
            Line::Long => {
                let most = MOST_LINE >> 20;
                take(number, Content::Broken(format!("the line has more than {most} MiB")))?;
            }
            Line::Whole(mut line) => {
                if number == 1 {
                    files::refuse_pointer(path, &line)?;
                    if line.starts_with(b"\xEF\xBB\xBF") {
                        line.drain(..3);
                    }
                }
                if !line.iter().all(|byte| byte.is_ascii_whitespace()) {
                    take(number, Content::Line(line))?;
                }
            }
        }
    }
}

enum Line {
    Whole(Vec<u8>),
    /// It is passed over.
    Long,
}

/// The next line, without its end; none at the end of the stream.
fn next(reader: &mut impl BufRead) -> Result<Option<Line>, IoError> {
    let (mut line, mut is_long, mut is_there) = (Vec::new(), false, false);
    loop {
        let part = reader.fill_buf()?;
        if part.is_empty() {
            break;
        }
        is_there = true;
        let end = part.iter().position(|&byte| byte == b'\n');
        let taken = end.unwrap_or(part.len());
        is_long |= line.len() + taken > MOST_LINE;
        match is_long {
            true => line = Vec::new(),
            false => line.extend_from_slice(&part[..taken]),
        }
        reader.consume(taken + usize::from(end.is_some()));
        if end.is_some() {
            break;
        }
    }
    Ok(is_there.then_some(if is_long { Line::Long } else { Line::Whole(line) }))
}

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
                return Err(IoError::other("a frame is cut off"));
            }
        }
        let decoder = StreamingDecoder::new_with_max_window_size(reader, MOST_WINDOW);
        self.frame = Some(decoder.map_err(IoError::other)?);
        Ok(true)
    }
}

fn is_skippable(start: &[u8]) -> bool {
    matches!(start, [0x50..=0x5F, 0x2A, 0x4D, 0x18, ..])
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
                    self.reader = self.frame.take().map(StreamingDecoder::into_inner);
                }
                read => return Ok(read),
            }
        }
    }
}
