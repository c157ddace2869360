//! Weights in PyTorch files. The first byte says whether the rest is a whole file, or the pickle of one whose archive is
//! in order, because no fuzzer guesses a checksum.
#![no_main]

mod folder;

use flate2::Crc;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        Some((0, file)) => folder::load("pth", file),
        Some((_, pickle)) => folder::load("pth", &archive(pickle)),
        None => {}
    }
});

/// A zip archive with the pickle and a storage of each size that the seed's tensors have.
fn archive(pickle: &[u8]) -> Vec<u8> {
    let sizes = [60, 12, 144, 16, 160, 20, 40, 8, 40, 4];
    let storages = sizes.iter().enumerate();
    let mut entries = vec![("x/data.pkl".to_owned(), pickle.to_vec())];
    entries.extend(storages.map(|(key, &size)| (format!("x/data/{key}"), vec![0; size])));
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in &entries {
        let mut crc = Crc::new();
        crc.update(content);
        let length = (content.len() as u32).to_le_bytes();
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(crc.sum().to_le_bytes());
        common.extend([length, length].concat());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((bytes.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        bytes.extend(b"PK\x03\x04");
        bytes.extend(&common);
        bytes.extend(name.as_bytes());
        bytes.extend(content);
    }
    let start = (bytes.len() as u32).to_le_bytes();
    let count = (entries.len() as u16).to_le_bytes();
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    bytes.extend([count, count].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start);
    bytes.extend([0, 0]);
    bytes
}
