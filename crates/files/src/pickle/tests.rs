use std::io::Cursor;
use std::path::Path;

use super::numpy::{self, PickledData};
use super::*;

fn fixture(name: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/numpy");
    std::fs::read(folder.join(name)).expect("a fixture")
}

/// The pickle behind the header of a `.npy` file.
fn read_npy(bytes: &[u8], keys: Option<&'static [&'static str]>) -> Result<Value, String> {
    let header = u16::from_le_bytes([bytes[8], bytes[9]]);
    let start = 10 + u64::from(header);
    let length = bytes.len() as u64 - start;
    read(Cursor::new(bytes), start, length, numpy::expected(keys))
}

fn read_pickle(pickle: &[u8]) -> Result<Value, String> {
    let expected = numpy::expected(None);
    read(Cursor::new(pickle), 0, pickle.len() as u64, expected)
}

#[test]
fn rule_2_6_tables_of_cells_are_read_in_protocols_2_to_5() {
    for protocol in 2..=5 {
        let bytes = fixture(&format!("stat_{protocol}.npy"));
        let cells = numpy::objects(&read_npy(&bytes, None).expect("cells")).expect("objects");
        let cells = cells.elements().expect("a list");
        assert_eq!(cells.len(), 3);
        for (place, cell) in cells.iter().enumerate() {
            let get = |key: &str| cell.get(key).expect("a value");
            let expected = [3.0 * place as f64, 4.0 * place as f64 + 1.0];
            assert_eq!(numpy::numbers(&get("med")), Some(expected.to_vec()));
            assert_eq!(numpy::number(&get("npix")), Some(2.5));
            assert_eq!(numpy::number(&get("std")), Some(1.25));
            assert_eq!(numpy::numbers(&get("shared")), Some(vec![7.0, 8.0]));
            assert_eq!(numpy::numbers(&get("overlap")), Some(vec![0.0; 5]));
            assert_eq!(numpy::number(&get("chan2")), None);
            assert_eq!(numpy::number(&get("huge")), None);
            assert!(cell.get("none").is_none());
            // Protocol 2 writes the bytes of arrays as a long text.
            if protocol > 2 {
                let array = numpy::array(&get("ypix")).expect("an array");
                assert_eq!(
                    (array.descr.as_str(), &array.shape[..]),
                    ("<i4", &[400][..])
                );
                let PickledData::Long(place) = array.data else {
                    panic!("1,600 bytes are many");
                };
                let data = &bytes[place.start as usize..place.end as usize];
                let numbers = data.as_chunks::<4>().0.iter();
                assert!(
                    numbers
                        .enumerate()
                        .all(|(place, number)| { i32::from_le_bytes(*number) as usize == place })
                );
            }
        }
    }
}

#[test]
fn rule_2_6_only_wanted_keys_are_kept() {
    let bytes = fixture("stat_4.npy");
    let cells = read_npy(&bytes, Some(&["med"])).expect("cells");
    let cells = numpy::objects(&cells).expect("objects");
    let cells = cells.elements().expect("a list");
    assert!(cells[2].get("med").is_some() && cells[2].get("std").is_none());
}

#[test]
fn rule_2_6_settings_are_read_with_the_dates_and_paths_beside_them() {
    for protocol in 2..=5 {
        let bytes = fixture(&format!("settings_{protocol}.npy"));
        let settings = numpy::objects(&read_npy(&bytes, None).expect("settings"));
        let settings = settings.expect("an object");
        let settings = settings.elements().expect("one object")[0].clone();
        let number = |key: &str| settings.get(key).as_ref().and_then(numpy::number);
        assert_eq!(number("fs"), Some(7.5));
        assert_eq!(number("neucoeff"), Some(0.65));
        assert_eq!(number("Lx"), Some(30.0));
        assert_eq!(number("negative"), Some(-5.0));
        let nested = settings
            .get("nested")
            .and_then(|nested| nested.get("extraction"));
        let nested = nested.and_then(|nested| nested.get("neuropil_coefficient"));
        assert_eq!(nested.as_ref().and_then(numpy::number), Some(0.7));
        assert!(matches!(settings.get("text"), Some(Value::Text(text)) if *text == *"µm"));
        assert!(matches!(settings.get("date_proc"), Some(Value::Call(_))));
    }
}

#[test]
fn rule_2_6_a_pickle_that_calls_anything_is_refused_by_name() {
    let message = read_npy(&fixture("evil.npy"), None).expect_err("a call");
    let name = if cfg!(windows) {
        "nt.system"
    } else {
        "posix.system"
    };
    assert!(message.contains(name), "{message}");
    for (pickle, name) in [
        (&b"cos\nsystem\n(X\x04\0\0\0true\x85R."[..], "os.system"),
        (b"cnumpy\nload\n.", "numpy.load"),
        (
            b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93.",
            "builtins.eval",
        ),
        // By instructions of protocols 0 and 1, which are not carried out.
        (b"cos\nsystem\n(S'true'\ntR.", "os.system"),
        (b"(S'true'\nios\nsystem\n.", "os.system"),
        (b"(cos\nsystem\nS'true'\no.", "os.system"),
        (b"\x80\x02I1\ncposix\nsystem\n)\x81.", "posix.system"),
    ] {
        let message = read_pickle(pickle).expect_err("a call");
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn rule_2_6_hostile_pickles_come_to_an_end() {
    // A list in itself, by way of the memo, of a copy, and of another list.
    for pickle in [
        &b"]q\0h\0a."[..],
        b"]2a.",
        b"]q\0(]q\x01h\0eh\x01a.",
        b"(]q\0]q\x01h\0ah\0h\x01at.",
    ] {
        let message = read_pickle(pickle).expect_err("a cycle");
        assert!(message.contains("something else contains"), "{message}");
    }
    // Lists in lists; lengths beyond the file; no end; nothing on the stack.
    let deep = [vec![b']'; 5000], vec![b'a'; 4999], vec![b'.']].concat();
    let message = read_pickle(&deep).expect_err("too deep");
    assert!(message.contains("nested"), "{message}");
    let tuples = [&b")"[..], &[0x85; 5000], b"."].concat();
    assert!(read_pickle(&tuples).is_err());
    for pickle in [
        &b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f."[..],
        b"X\xff\xff\xff\xffa.",
        b"B\xff\xff\xff\xffa.",
        b"\x8b\xff\xff\xff\xffa.",
        b"N",
        b"",
        b".",
        b"a.",
        b"R.",
        b"b.",
        b"u.",
        b"t.",
        b"h\x05.",
        b"NN.",
        b"(N.",
        b"\x80\x09N.",
        b"I5\n.",
        b"\xff",
    ] {
        assert!(read_pickle(pickle).is_err(), "{pickle:?}");
    }
    for tall in [b'N', b'('] {
        let tall = [vec![tall; HIGHEST_STACK + 2], vec![b'.']].concat();
        let message = read_pickle(&tall).expect_err("too many values");
        assert!(message.contains("on the stack"), "{message}");
    }
    let message = read_pickle(b"Nq\0j\xff\xff\xff\xff.").expect_err("no place");
    assert!(message.contains("a reference to nothing"), "{message}");
}

#[test]
fn rule_2_6_values_take_a_bounded_memory_and_give_it_back() {
    // Batches of empty lists: kept, they would take a hundred times the bytes of the pickle.
    let batch = [&b"("[..], &[b']'; 100_000], b"e"].concat();
    let kept = [&b"]"[..], &batch.repeat(40), b"."].concat();
    let message = read_pickle(&kept).expect_err("too much");
    assert!(message.contains("bytes"), "{message}");
    let dropped = [&b"]"[..], &b"("[..], &[b']'; 100_000], b"e0"].concat();
    let dropped = [dropped.repeat(40), b"N.".to_vec()].concat();
    assert!(matches!(read_pickle(&dropped), Ok(Value::None)));
    // A text that is repeated by reference.
    let text = [&b"X\0\0\x01\0"[..], &[b'a'; 1 << 16], b"q\x01"].concat();
    let repeated = [&b"]"[..], &text, b"0(", &b"h\x01".repeat(100_000), b"e."].concat();
    let value = read_pickle(&repeated).expect("a list");
    assert_eq!(value.elements().expect("a list").len(), 100_000);
}

#[test]
fn instructions_across_the_edge_of_the_buffer_are_read() {
    let text = "x".repeat(1000);
    let mut pickle = b"(".to_vec();
    for number in 0..2000_u32 {
        pickle.push(b'J');
        pickle.extend(number.to_le_bytes());
        pickle.push(b'X');
        pickle.extend(1000_u32.to_le_bytes());
        pickle.extend(text.as_bytes());
        // Bytes that are passed over.
        pickle.push(b'B');
        pickle.extend((number * 100).to_le_bytes());
        pickle.resize(pickle.len() + number as usize * 100, 7);
    }
    pickle.extend(b"l.");
    let value = read_pickle(&pickle).expect("a list");
    let elements = value.elements().expect("a list");
    let (values, rest) = elements.as_chunks::<3>();
    assert_eq!((values.len(), rest.len()), (2000, 0));
    for (number, value) in values.iter().enumerate() {
        let [
            Value::Integer(found),
            Value::Text(found_text),
            Value::Bytes(bytes),
        ] = value
        else {
            panic!("{value:?}");
        };
        assert_eq!((*found, &**found_text), (number as i64, &text[..]));
        let place = bytes.place();
        assert_eq!(place.end - place.start, 100 * number as u64);
        let place = place.start as usize..place.end as usize;
        assert!(pickle[place].iter().all(|&byte| byte == 7));
        assert_eq!(bytes.content().is_some(), number < 3);
    }
}

#[test]
fn rule_2_6_damaged_pickles_are_refused_or_read() {
    for name in ["stat", "settings"]
        .iter()
        .flat_map(|name| (2..=5).map(move |protocol| format!("{name}_{protocol}.npy")))
    {
        let whole = fixture(&name);
        let header = 10 + usize::from(u16::from_le_bytes([whole[8], whole[9]]));
        for length in header..whole.len() {
            assert!(read_npy(&whole[..length], None).is_err(), "{length} bytes");
        }
        for place in header..whole.len() {
            for bit in [place % 8, 7] {
                let mut damaged = whole.clone();
                damaged[place] ^= 1 << bit;
                if let Ok(value) = read_npy(&damaged, None)
                    && let Some(objects) = numpy::objects(&value)
                    && let Some(objects) = objects.elements()
                {
                    for key in ["med", "fs", "ypix", "neucoeff"] {
                        let _ = objects.first().and_then(|first| {
                            let value = first.get(key)?;
                            numpy::number(&value).or(numpy::numbers(&value)?.first().copied())
                        });
                    }
                }
            }
        }
    }
}
