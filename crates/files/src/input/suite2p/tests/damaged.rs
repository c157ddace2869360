//! Files of a plane that are cut short or have a flipped bit.

use super::*;

/// Opens the recording and reads all of it; whether that was possible. What was opened can be read.
fn is_read(lab: &Lab) -> bool {
    match lab.open(&Request::default()) {
        Ok(source) => {
            assert_eq!(source.positions.xyz.len(), source.neurons());
            traces(&source);
            true
        }
        Err(error) => {
            let message = error.to_string();
            assert!(!message.contains(char::is_control), "{message:?}");
            assert!(message.len() < 1000, "{} bytes", message.len());
            false
        }
    }
}

#[test]
fn rule_2_6_damaged_files_of_a_plane_are_refused_or_read() {
    let lab = Lab::new(&[(0, 20)]);
    for name in [FLUORESCENCE, NEUROPIL, SELECTED, REGIONS, "ops.npy"] {
        let whole = fs::read(lab.path(0, name)).expect("a file");
        // All places of the numbers, every 7th of the pickles.
        let step = if whole.len() < 1000 { 1 } else { 7 };
        for length in (0..whole.len()).step_by(step) {
            lab.put(0, name, &whole[..length]);
            assert!(!is_read(&lab), "{name} of {length} bytes");
        }
        let mut read = 0;
        for place in (0..whole.len()).step_by(step) {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << (place % 8);
            lab.put(0, name, &damaged);
            read += usize::from(is_read(&lab));
        }
        // Most bytes are numbers that nobody can doubt.
        assert!(read > 0, "{name}");
        lab.put(0, name, &whole);
        assert!(is_read(&lab));
    }
}
