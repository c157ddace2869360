//! Pickles of NumPy's arrays in memory. The first byte says whether all keys of dictionaries are kept, or one.
#![no_main]

use std::io::Cursor;

use spikegrid_files::pickle::numpy::{self, PickledData};
use spikegrid_files::pickle::{Value, read};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Some((kind, pickle)) = bytes.split_first() else {
        return;
    };
    let keys: Option<&'static [&'static str]> = match kind % 2 {
        0 => None,
        _ => Some(&["med"]),
    };
    let length = pickle.len() as u64;
    let Ok(value) = read(Cursor::new(pickle), 0, length, numpy::expected(keys)) else {
        return;
    };
    look_at(&value, length);
    let objects = numpy::objects(&value);
    let elements = objects.as_ref().and_then(Value::elements);
    for object in elements.iter().flat_map(|elements| elements.iter()) {
        look_at(object, length);
        for key in ["med", "fs", "ypix", "dF_traces"] {
            object
                .get(key)
                .iter()
                .for_each(|value| look_at(value, length));
        }
    }
});

/// Asks a value for all that readers ask for; an array lies within the file.
fn look_at(value: &Value, length: u64) {
    let _ = (numpy::number(value), numpy::numbers(value));
    let end = match numpy::array(value).map(|array| array.data) {
        Some(PickledData::Long(place)) => place.end,
        Some(PickledData::Short(bytes, start)) => {
            start.map_or(0, |start| start + bytes.len() as u64)
        }
        None => 0,
    };
    assert!(end <= length);
}
