//! LZF, the compression that h5py brings beside gzip (`compression="lzf"`). The HDF5 library does not have it.
//!
//! ```text
//! stream = token*
//! token  = c < 32,   then c + 1 bytes as they are
//!        | c >= 32,  [more length if c >> 5 is 7], low byte of the distance:
//!                    (c >> 5) + more + 2 bytes from ((c & 31) << 8 | low) + 1 bytes before
//! ```
//! The format is LibLZF's, by Marc Lehmann.

pub(crate) mod filter;

/// A step of decompression.
enum Token<'a> {
    /// Bytes as they are.
    Literal(&'a [u8]),
    /// As many bytes from so far before.
    Repeat { length: usize, distance: usize },
}

/// Takes the next token off a stream that is not empty; nothing where the stream breaks off within it.
fn token<'a>(stream: &mut &'a [u8]) -> Option<Token<'a>> {
    let control = usize::from(byte(stream)?);
    if control < 32 {
        let (literal, rest) = stream.split_at_checked(control + 1)?;
        *stream = rest;
        return Some(Token::Literal(literal));
    }
    let more = match control >> 5 {
        7 => usize::from(byte(stream)?),
        _ => 0,
    };
    let low = usize::from(byte(stream)?);
    Some(Token::Repeat {
        length: (control >> 5) + more + 2,
        distance: ((control & 31) << 8 | low) + 1,
    })
}

fn byte(stream: &mut &[u8]) -> Option<u8> {
    let (first, rest) = stream.split_first()?;
    *stream = rest;
    Some(*first)
}

/// The number of bytes that a stream decompresses to, at most 88 for each of its own; nothing where it is damaged.
#[must_use]
pub fn decompressed_length(mut stream: &[u8]) -> Option<usize> {
    let mut length = 0_usize;
    while !stream.is_empty() {
        length += match token(&mut stream)? {
            Token::Literal(literal) => literal.len(),
            Token::Repeat { distance, .. } if distance > length => return None,
            Token::Repeat { length, .. } => length,
        };
    }
    Some(length)
}

/// Decompresses a stream to exactly the length of `bytes`; nothing where it is damaged or of another length.
#[must_use]
pub fn decompress(mut stream: &[u8], bytes: &mut [u8]) -> Option<()> {
    let mut end = 0;
    while !stream.is_empty() {
        match token(&mut stream)? {
            Token::Literal(literal) => {
                let to = bytes.get_mut(end..end + literal.len())?;
                to.copy_from_slice(literal);
                end += literal.len();
            }
            Token::Repeat { length, distance } => {
                let start = end.checked_sub(distance)?;
                let part = bytes.get_mut(start..end + length)?;
                repeat(part, distance);
                end += length;
            }
        }
    }
    (end == bytes.len()).then_some(())
}

/// Fills all of `part` with copies of its first `distance` bytes.
fn repeat(part: &mut [u8], distance: usize) {
    // Each round copies all that is there, so that what is there doubles.
    let mut there = distance;
    while there < part.len() {
        let copied = there.min(part.len() - there);
        part.copy_within(..copied, there);
        there += copied;
    }
}

#[cfg(test)]
mod tests;
