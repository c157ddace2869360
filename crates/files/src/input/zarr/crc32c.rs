//! The checksum CRC-32C (Castagnoli).

/// Entry `[k][b]`: the checksum of byte `b` with `k` bytes of 0 behind it.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    const POLYNOMIAL: u32 = 0x82F6_3B78;
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut rest = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            rest = (rest >> 1) ^ (POLYNOMIAL * (rest & 1));
            bit += 1;
        }
        tables[0][byte] = rest;
        byte += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[behind - 1][byte];
            tables[behind][byte] = (before >> 8) ^ tables[0][(before & 255) as usize];
            byte += 1;
        }
        behind += 1;
    }
    tables
}

/// The checksum of some bytes, eight at a time.
pub(super) fn of(bytes: &[u8]) -> u32 {
    let (eights, rest) = bytes.as_chunks::<8>();
    let checksum = eights.iter().fold(u32::MAX, |checksum, eight| {
        let mixed = u64::from_le_bytes(*eight) ^ u64::from(checksum);
        let mixed = mixed.to_le_bytes().into_iter().enumerate();
        mixed.fold(0, |sum, (place, byte)| {
            sum ^ TABLES[7 - place][usize::from(byte)]
        })
    });
    let checksum = rest.iter().fold(checksum, |checksum, byte| {
        (checksum >> 8) ^ TABLES[0][usize::from(checksum as u8 ^ byte)]
    });
    !checksum
}

#[cfg(test)]
mod tests {
    #[test]
    fn checksums_are_those_of_the_standard() {
        // RFC 3720, B.4.
        let counting: Vec<u8> = (0..32).collect();
        assert_eq!(super::of(&[0; 32]), 0x8A91_36AA);
        assert_eq!(super::of(&[255; 32]), 0x62A8_AB43);
        assert_eq!(super::of(&counting), 0x46DD_794E);
        assert_eq!(super::of(b"123456789"), 0xE306_9283);
    }
}
