//! State dictionaries, good, odd and hostile.

use super::*;

const FIXTURE: &[u8] =
    include_bytes!("../../../../../tests/fixtures/cascade/torch/Model_NoiseLevel_2_Ensemble_0.pth");

/// A zip archive of stored entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in entries {
        let mut crc = Crc::new();
        crc.update(content);
        let length = (content.len() as u32).to_le_bytes();
        // Version 2.0, no flags, stored, no time.
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
        bytes.extend(*content);
    }
    let start = bytes.len() as u32;
    bytes.extend(&directory);
    bytes.extend(b"PK\x05\x06\0\0\0\0");
    let count = (entries.len() as u16).to_le_bytes();
    bytes.extend([count, count].concat());
    bytes.extend((directory.len() as u32).to_le_bytes());
    bytes.extend(start.to_le_bytes());
    bytes.extend([0, 0]);
    bytes
}

fn text(text: &str) -> Vec<u8> {
    [
        &b"X"[..],
        &(text.len() as u32).to_le_bytes(),
        text.as_bytes(),
    ]
    .concat()
}

/// A call of `_rebuild_tensor_v2` on storage 0 of 6 floats, from `offset`, with a shape and strides in pickle.
fn tensor(offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let (storage, key, device) = (text("storage"), text("0"), text("cpu"));
    [
        b"ctorch._utils\n_rebuild_tensor_v2\n((",
        &storage[..],
        b"ctorch\nFloatStorage\n",
        &key,
        &device,
        b"K\x06tQK",
        &[offset],
        shape,
        strides,
        b"\x89ccollections\nOrderedDict\n)RtR",
    ]
    .concat()
}

/// A file whose only tensor, or what stands for it, is called `a`.
fn file_with(tensor: &[u8], floats: &[f32]) -> Vec<u8> {
    let name = text("a");
    let pickle = [
        b"\x80\x02ccollections\nOrderedDict\n)R(",
        &name[..],
        tensor,
        b"u.",
    ]
    .concat();
    let bytes: Vec<u8> = floats
        .iter()
        .flat_map(|float| float.to_le_bytes())
        .collect();
    archive(&[("x/data.pkl", &pickle), ("x/data/0", &bytes)])
}

const SIX: [f32; 6] = [0.0, 1.0, 2.0, 3.0, 4.0, 5.0];

fn load(bytes: &[u8]) -> Result<Vec<f32>, String> {
    StateDict::parse(bytes)?.load("a")
}

#[test]
fn a_view_is_read_by_its_strides() {
    let rows = file_with(&tensor(0, b"K\x02K\x03\x86", b"K\x03K\x01\x86"), &SIX);
    assert_eq!(load(&rows).unwrap(), SIX);
    assert_eq!(
        StateDict::parse(&rows).unwrap().shape("a"),
        Some(&[2, 3][..])
    );
    let columns = file_with(&tensor(0, b"K\x03K\x02\x86", b"K\x01K\x03\x86"), &SIX);
    assert_eq!(load(&columns).unwrap(), [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
    let end = file_with(&tensor(4, b"K\x02\x85", b"K\x01\x85"), &SIX);
    assert_eq!(load(&end).unwrap(), [4.0, 5.0]);
}

#[test]
fn the_attributes_that_pytorch_gives_a_state_dictionary_are_passed_over() {
    let (name, metadata, version) = (text("a"), text("_metadata"), text("version"));
    let ordered = b"ccollections\nOrderedDict\n)R";
    let tensor = tensor(0, b"K\x06\x85", b"K\x01\x85");
    let versions = [b"}", &version[..], b"K\x01s"].concat();
    let (root, layer) = (text(""), text("conv1"));
    let pickle = [
        b"\x80\x02",
        &ordered[..],
        b"q\0(",
        &name,
        &tensor,
        b"u}q\x01",
        &metadata,
        ordered,
        b"(",
        &root,
        &versions,
        &layer,
        &versions,
        b"usb.",
    ]
    .concat();
    let bytes: Vec<u8> = SIX.iter().flat_map(|float| float.to_le_bytes()).collect();
    let file = archive(&[("x/data.pkl", &pickle), ("x/data/0", &bytes)]);
    assert_eq!(load(&file).unwrap(), SIX);
}

#[test]
fn a_state_dictionary_within_a_dictionary_is_read() {
    let tensor = tensor(0, b"K\x06\x85", b"K\x01\x85");
    let (outer, name, epoch) = (text("state_dict"), text("a"), text("epoch"));
    let pickle = [
        b"\x80\x02}(",
        &epoch[..],
        b"K\x05",
        &outer,
        b"ccollections\nOrderedDict\n)R",
        &name,
        &tensor,
        b"su.",
    ]
    .concat();
    let bytes: Vec<u8> = SIX.iter().flat_map(|float| float.to_le_bytes()).collect();
    let file = archive(&[("x/data.pkl", &pickle), ("x/data/0", &bytes)]);
    assert_eq!(load(&file).unwrap(), SIX);
}

#[test]
fn a_pickle_that_asks_for_anything_else_is_refused_by_name() {
    let call = |global: &str| {
        let command = text("touch /tmp/x");
        file_with(
            &[b"c", global.as_bytes(), b"\n", &command, b"\x85R"].concat(),
            &SIX,
        )
    };
    for (global, named) in [
        ("os\nsystem", "\"os.system\", which is not used"),
        ("builtins\neval", "\"builtins.eval\", which is not used"),
        (
            "torch\nHalfStorage",
            "\"torch.HalfStorage\", which is not used",
        ),
        (
            "os\nsy\x1b[2Jstem",
            "\"os.sy\\u{1b}[2Jstem\", which is not used",
        ),
    ] {
        assert_eq!(load(&call(global)), Err(named.to_owned()));
    }
    let refused = |tensor: &[u8]| load(&file_with(tensor, &SIX)).unwrap_err();
    assert_eq!(refused(b"R"), "an empty stack");
    assert_eq!(refused(b"]"), "an entry that is no tensor");
    assert_eq!(refused(b"i"), "opcode 0x69");
    assert_eq!(refused(b"))R"), "a call of something else");
    assert_eq!(refused(b")Q"), "an entry that is no tensor");
    assert_eq!(refused(b"h\x07"), "a reference to nothing");
    assert_eq!(refused(b")\x85\x85\x85"), "an entry that is no tensor");
    assert_eq!(refused(b"X\xff\xff\xff\xff"), "an early end");
}

#[test]
fn a_tensor_that_reaches_beyond_its_storage_is_refused() {
    for (offset, shape, strides) in [
        (1, &b"K\x06\x85"[..], &b"K\x01\x85"[..]),
        (0, b"K\x04\x85", b"K\x02\x85"),
        (0, b"K\x07\x85", b"K\0\x85"),
        (
            0,
            b"J\xff\xff\xff\x7fJ\xff\xff\xff\x7fJ\xff\xff\xff\x7f\x87",
            b"K\0K\0K\0\x87",
        ),
        (0, b"J\xff\xff\xff\x7f\x85", b"J\xff\xff\xff\x7f\x85"),
        (0, b"K\0\x85", b"K\x01\x85"),
    ] {
        let found = load(&file_with(&tensor(offset, shape, strides), &SIX)).unwrap_err();
        assert!(found.contains("in 6 floats"), "{found}");
    }
    let five = file_with(&tensor(0, b"K\x06\x85", b"K\x01\x85"), &SIX[..5]);
    assert_eq!(load(&five).unwrap_err(), "20 bytes for 6 floats");
}

#[test]
fn a_truncated_file_is_refused() {
    for length in 0..FIXTURE.len() {
        assert!(
            StateDict::parse(&FIXTURE[..length]).is_err(),
            "{length} bytes"
        );
    }
}

#[test]
fn a_file_with_a_flipped_byte_is_refused_or_read_as_it_was() {
    let names = ["conv1.weight", "conv1.bias", "dense2.weight", "dense2.bias"];
    let tensors = |bytes: &[u8]| -> Result<Vec<Vec<f32>>, String> {
        let file = StateDict::parse(bytes)?;
        names.iter().map(|name| file.load(name)).collect()
    };
    let whole = tensors(FIXTURE).unwrap();
    for place in 0..FIXTURE.len() {
        for flipped in [0x01, 0x20, 0x80, 0xff] {
            let mut damaged = FIXTURE.to_vec();
            damaged[place] ^= flipped;
            if let Ok(tensors) = tensors(&damaged) {
                assert_eq!(tensors, whole, "byte {place}");
            }
        }
    }
}
