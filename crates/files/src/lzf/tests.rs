use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng, SeedableRng};

use super::*;

/// A simple encoder: the longest of the repeats that end at the last few places, or literals.
fn compress(bytes: &[u8]) -> Vec<u8> {
    let (mut stream, mut literal, mut at) = (Vec::new(), Vec::new(), 0);
    let flush = |literal: &mut Vec<u8>, stream: &mut Vec<u8>| {
        for part in literal.chunks(32) {
            stream.push(part.len() as u8 - 1);
            stream.extend(part);
        }
        literal.clear();
    };
    while at < bytes.len() {
        let length = |distance: usize| {
            let repeated =
                (at..bytes.len()).take_while(|&place| bytes[place] == bytes[place - distance]);
            repeated.take(264).count()
        };
        let best = [1, 2, 4, 8, 300, 8192]
            .into_iter()
            .filter(|&distance| distance <= at);
        let best = best.max_by_key(|&distance| length(distance));
        match best.map(|distance| (distance, length(distance))) {
            Some((distance, length)) if length >= 3 => {
                flush(&mut literal, &mut stream);
                let high = ((distance - 1) >> 8) as u8;
                match length - 2 {
                    short if short < 7 => stream.push((short as u8) << 5 | high),
                    long => stream.extend([7 << 5 | high, (long - 7) as u8]),
                }
                stream.push((distance - 1) as u8);
                at += length;
            }
            _ => {
                literal.push(bytes[at]);
                at += 1;
            }
        }
    }
    flush(&mut literal, &mut stream);
    stream
}

/// Bytes of which some repeat.
fn repetitive(random: &mut Xoshiro256PlusPlus, length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    while bytes.len() < length {
        let run = (random.next_u64() % 400) as usize;
        match random.next_u64() % 3 {
            0 => bytes.extend((0..run % 50).map(|_| random.next_u64() as u8)),
            1 => bytes.extend(std::iter::repeat_n(random.next_u64() as u8, run)),
            _ => {
                let word = random.next_u64().to_le_bytes();
                bytes.extend(word.iter().cycle().take(run));
            }
        }
    }
    bytes.truncate(length);
    bytes
}

fn decompressed(stream: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = vec![0; decompressed_length(stream)?];
    decompress(stream, &mut bytes)?;
    Some(bytes)
}

#[test]
fn streams_become_the_bytes_that_they_were_made_of() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(3);
    for length in (0..300).chain([8191, 8192, 8193, 40_000]) {
        let bytes = repetitive(&mut random, length);
        let stream = compress(&bytes);
        assert_eq!(decompressed(&stream), Some(bytes), "{length} bytes");
    }
}

#[test]
fn repeats_may_overlap_themselves_and_have_any_length() {
    assert_eq!(decompressed(&[0, 7, 32, 0]), Some(vec![7; 4]));
    let longest = [1, 1, 2, 0xe0, 255, 1];
    let expected: Vec<u8> = [1, 2].into_iter().cycle().take(2 + 264).collect();
    assert_eq!(decompressed(&longest), Some(expected));
    assert_eq!(decompressed(&[]), Some(vec![]));
}

#[test]
fn streams_that_break_off_or_reach_before_the_start_are_refused() {
    for stream in [
        &[0][..],         // a literal that is not there
        &[5, 1, 2],       // one that breaks off
        &[32],            // a repeat without its distance
        &[0, 1, 0xe0],    // one without its length
        &[0, 1, 0xe0, 3], // a long one without its distance
        &[32, 0],         // one of bytes before the first
        &[0, 1, 32, 1],   // likewise, by one
    ] {
        assert_eq!(decompressed_length(stream), None, "{stream:?}");
        assert_eq!(decompress(stream, &mut [0; 100]), None, "{stream:?}");
    }
    // In order, but of another length.
    for length in [0, 3, 5] {
        assert_eq!(decompress(&[0, 7, 32, 0], &mut vec![0; length]), None);
    }
}

#[test]
fn damaged_streams_never_panic_and_agree_about_their_length() {
    let mut random = Xoshiro256PlusPlus::seed_from_u64(4);
    for _ in 0..20_000 {
        let length = (random.next_u64() % 2000) as usize;
        let bytes = repetitive(&mut random, length);
        let mut stream = compress(&bytes);
        for _ in 0..1 + random.next_u64() % 4 {
            let place = (random.next_u64() % (stream.len() as u64 + 1)) as usize;
            match random.next_u64() % 3 {
                0 => stream.truncate(place),
                1 => stream.insert(place, random.next_u64() as u8),
                _ => {
                    if let Some(byte) = stream.get_mut(place) {
                        *byte = random.next_u64() as u8;
                    }
                }
            }
        }
        let mut room = vec![0; length];
        let whole = decompress(&stream, &mut room).is_some();
        assert_eq!(whole, decompressed_length(&stream) == Some(length));
    }
}
