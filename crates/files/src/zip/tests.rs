use std::io::{Read, Write};

use flate2::Crc;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;

use super::*;

/// How a member is put into an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Packing {
    pub(crate) deflated: bool,
    /// Whether lengths and places are written as those beyond 32 bits are.
    pub(crate) zip64: bool,
}

/// Compresses bytes by Deflate.
pub(crate) fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).expect("bytes");
    encoder.finish().expect("deflated bytes")
}

/// An archive of these members.
pub(crate) fn archive(members: &[(&str, &[u8])], packing: Packing) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let place = bytes.len() as u64;
        let mut crc = Crc::new();
        crc.update(content);
        let (method, stored) = match packing.deflated {
            true => (8_u16, deflate(content)),
            false => (0, content.to_vec()),
        };
        let lengths = [stored.len() as u64, content.len() as u64];
        // Version, flags, method, time, date, CRC.
        let common = |bytes: &mut Vec<u8>| {
            bytes.extend([45, 0, 0, 0]);
            bytes.extend(method.to_le_bytes());
            bytes.extend([0; 4]);
            bytes.extend(crc.sum().to_le_bytes());
            for length in lengths {
                let length = if packing.zip64 {
                    u32::MAX
                } else {
                    length as u32
                };
                bytes.extend(length.to_le_bytes());
            }
            bytes.extend((name.len() as u16).to_le_bytes());
        };
        let extra = |numbers: &[u64]| {
            let mut extra = Vec::new();
            if packing.zip64 {
                // A field of another kind comes before.
                extra.extend([0x55, 0x54, 1, 0, 9]);
                extra.extend([1, 0, 8 * numbers.len() as u8, 0]);
                extra.extend(numbers.iter().flat_map(|number| number.to_le_bytes()));
            }
            extra
        };
        bytes.extend(b"PK\x03\x04");
        common(&mut bytes);
        let fields = extra(&[lengths[1], lengths[0]]);
        bytes.extend((fields.len() as u16).to_le_bytes());
        bytes.extend(name.bytes());
        bytes.extend(fields);
        bytes.extend(stored);
        directory.extend(b"PK\x01\x02\x2d\x03");
        common(&mut directory);
        let fields = extra(&[lengths[1], lengths[0], place]);
        directory.extend((fields.len() as u16).to_le_bytes());
        directory.extend([0; 10]);
        let place = if packing.zip64 {
            u32::MAX
        } else {
            place as u32
        };
        directory.extend(place.to_le_bytes());
        directory.extend(name.bytes());
        directory.extend(fields);
    }
    let (start, length, count) = (bytes.len() as u64, directory.len() as u64, members.len());
    bytes.extend(directory);
    let end = bytes.len() as u64;
    if packing.zip64 {
        bytes.extend(b"PK\x06\x06");
        bytes.extend(44_u64.to_le_bytes());
        bytes.extend([0; 12]);
        for number in [count as u64, count as u64, length, start] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(b"PK\x06\x07\0\0\0\0");
        bytes.extend(end.to_le_bytes());
        bytes.extend([1, 0, 0, 0]);
    }
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        bytes.extend(
            (if packing.zip64 {
                u16::MAX
            } else {
                count as u16
            })
            .to_le_bytes(),
        );
    }
    for number in [length, start] {
        bytes.extend(
            (if packing.zip64 {
                u32::MAX
            } else {
                number as u32
            })
            .to_le_bytes(),
        );
    }
    bytes.extend([0, 0]);
    bytes
}

const PACKINGS: [Packing; 4] = [
    Packing {
        deflated: false,
        zip64: false,
    },
    Packing {
        deflated: true,
        zip64: false,
    },
    Packing {
        deflated: false,
        zip64: true,
    },
    Packing {
        deflated: true,
        zip64: true,
    },
];

#[test]
fn rule_2_6_members_are_found_in_archives_of_every_kind() {
    let long = vec![7; 5000];
    let members = [("first.npy", &b"hello"[..]), ("folder/second.npy", &long)];
    for packing in PACKINGS {
        let mut bytes = archive(&members, packing);
        let end = bytes.len();
        bytes[end - 2] = 7;
        bytes.extend(b"comment");
        let entries = directory(&bytes[..]).unwrap_or_else(|found| panic!("{packing:?}: {found}"));
        assert_eq!(entries.len(), 2);
        for (entry, (name, content)) in entries.iter().zip(members) {
            assert_eq!((&*entry.name, entry.length), (name, content.len() as u64));
            let start = entry.start(&bytes[..]).expect("a place") as usize;
            let stored = &bytes[start..][..entry.stored as usize];
            let mut found = Vec::new();
            match entry.method {
                Method::Stored => found.extend(stored),
                Method::Deflated => {
                    let read = DeflateDecoder::new(stored).read_to_end(&mut found);
                    read.expect("the content");
                }
            }
            assert_eq!(found, content, "{packing:?}");
            let mut crc = Crc::new();
            crc.update(&found);
            assert_eq!(crc.sum(), entry.crc);
        }
    }
}

#[test]
fn rule_2_6_archives_that_lie_are_refused() {
    let members = [("a.npy", &b"hello, hello, hello"[..])];
    for packing in PACKINGS {
        let whole = archive(&members, packing);
        for length in 0..whole.len() {
            assert!(directory(&whole[..length]).is_err(), "{length} bytes");
        }
        for place in 0..whole.len() {
            for bit in 0..8 {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << bit;
                for entry in directory(&damaged[..]).unwrap_or_default() {
                    let longest = damaged.len() as u64 * LARGEST_RATIO;
                    assert!(
                        entry.stored <= longest && entry.length <= longest
                            || entry.start(&damaged[..]).is_err()
                    );
                }
            }
        }
    }
    let twice = archive(&[members[0], members[0]], PACKINGS[0]);
    assert_eq!(directory(&twice[..]), Err("a.npy twice".to_owned()));
}
