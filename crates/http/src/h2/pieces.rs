//! Blocks of headers, which may come in several frames.

use super::frame::{self, HEADER, Header, LARGEST, flag, kind};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BadBlock {
    TooLarge,
    TooManyPieces,
    Malformed,
}

/// Blocks in more frames than these are taken for an attack.
const MOST_PIECES: usize = 32;

/// Puts the block that begins with `first` at the start of `rest` into `block`; says how many bytes its frames take, none if they are not whole.
/// The block has at most `most` bytes.
pub(super) fn collect(
    first: Header,
    rest: &[u8],
    most: usize,
    block: &mut Vec<u8>,
) -> Result<Option<usize>, BadBlock> {
    block.clear();
    let mut header = first;
    let mut end = 0_usize;
    for piece in 0..=MOST_PIECES {
        // Padding does not count, but nobody needs much of it.
        if header.len > LARGEST || block.len().saturating_add(header.len) > most.saturating_add(256) {
            return Err(BadBlock::TooLarge);
        }
        let start = end.saturating_add(HEADER);
        end = start.saturating_add(header.len);
        let Some(payload) = rest.get(start..end) else { return Ok(None) };
        block.extend_from_slice(if piece == 0 { opening(header, payload)? } else { payload });
        if header.has(flag::END_HEADERS) {
            return if block.len() > most { Err(BadBlock::TooLarge) } else { Ok(Some(end)) };
        }
        let Some(next) = Header::read(rest.get(end..).unwrap_or_default()) else { return Ok(None) };
        if next.kind != kind::CONTINUATION || next.stream != first.stream {
            return Err(BadBlock::Malformed);
        }
        header = next;
    }
    Err(BadBlock::TooManyPieces)
}

/// The part of the block that is in HEADERS, which may have padding and a priority around it.
fn opening(header: Header, payload: &[u8]) -> Result<&[u8], BadBlock> {
    let inside = frame::unpadded(header, payload).ok_or(BadBlock::Malformed)?;
    if header.has(flag::PRIORITY) { inside.get(5..).ok_or(BadBlock::Malformed) } else { Ok(inside) }
}
