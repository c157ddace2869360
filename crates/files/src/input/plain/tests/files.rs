//! Writes files as the tools do.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use crate::zip::tests::{Packing, archive};

/// An array: its name, extents as its owner sees them, and numbers row by row.
#[derive(Clone)]
pub(super) struct Named<'a> {
    pub(super) name: &'a str,
    pub(super) shape: &'a [usize],
    pub(super) values: Vec<f64>,
}

/// Numbers in a type of NumPy.
pub(super) fn bytes_of(values: &[f64], descr: &str) -> Vec<u8> {
    macro_rules! bytes {
        ($type:ty) => {{
            let each = values.iter().map(|value| *value as $type);
            match descr.starts_with('>') {
                true => each.flat_map(|number| number.to_be_bytes()).collect(),
                false => each.flat_map(|number| number.to_le_bytes()).collect(),
            }
        }};
    }
    match &descr[1..] {
        "f4" => bytes!(f32),
        "f8" => bytes!(f64),
        "i1" => bytes!(i8),
        "i2" => bytes!(i16),
        "i4" => bytes!(i32),
        "i8" => bytes!(i64),
        "u1" => bytes!(u8),
        "u2" => bytes!(u16),
        "u4" => bytes!(u32),
        "u8" => bytes!(u64),
        other => panic!("{other}"),
    }
}

/// Numbers column by column.
fn transposed(values: &[f64], shape: &[usize]) -> Vec<f64> {
    match shape {
        [rows, columns] => {
            let places = (0..*columns).flat_map(|c| (0..*rows).map(move |r| r * columns + c));
            places.map(|place| values[place]).collect()
        }
        _ => values.to_vec(),
    }
}

/// What `np.save` writes.
pub(super) fn npy(array: &Named, descr: &str, fortran: bool) -> Vec<u8> {
    let shape = array.shape.iter().map(|extent| format!("{extent},"));
    let shape: String = shape.collect();
    let order = if fortran { "True" } else { "False" };
    let mut header =
        format!("{{'descr': '{descr}', 'fortran_order': {order}, 'shape': ({shape}), }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.bytes());
    let values = match fortran {
        true => transposed(&array.values, array.shape),
        false => array.values.clone(),
    };
    bytes.extend(bytes_of(&values, descr));
    bytes
}

/// What `np.save` writes of a dictionary: arrays of f32, and numbers where there are no axes.
pub(super) fn npy_of_dictionary(arrays: &[Named]) -> Vec<u8> {
    let mut items = Vec::new();
    for array in arrays {
        items.extend(text(array.name));
        items.extend(match array.shape {
            [] => [&b"G"[..], &array.values[0].to_be_bytes()].concat(),
            shape => {
                let data = bytes_of(&array.values, "<f4");
                let length = (data.len() as u32).to_le_bytes();
                pickled_array(shape, "f4", "<", &[&b"B"[..], &length, &data].concat())
            }
        });
    }
    let list = [&b"]}("[..], &items, b"ua"].concat();
    let pickle = [
        &b"\x80\x03"[..],
        &pickled_array(&[], "O8", "|", &list),
        b".",
    ]
    .concat();
    let objects = Named {
        name: "",
        shape: &[],
        values: Vec::new(),
    };
    let mut bytes = npy(&objects, "<f4", false);
    let place = bytes.windows(3).position(|part| part == b"<f4");
    let place = place.expect("a type");
    bytes.splice(place..place + 3, *b"|O ");
    let quote = place + 2;
    bytes.swap(quote, quote + 1);
    [bytes, pickle].concat()
}

fn text(text: &str) -> Vec<u8> {
    let length = (text.len() as u32).to_le_bytes();
    [&b"X"[..], &length, text.as_bytes()].concat()
}

/// An array in the protocol 3 of pickles.
fn pickled_array(shape: &[usize], kind: &str, order: &str, data: &[u8]) -> Vec<u8> {
    let extents = shape.iter().flat_map(|extent| {
        let [low, high, ..] = extent.to_le_bytes();
        [b'M', low, high]
    });
    let shape: Vec<u8> = [b'('].into_iter().chain(extents).chain([b't']).collect();
    [
        &b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\0\x85C\x01b\x87R(K\x01"[..],
        &shape,
        b"cnumpy\ndtype\n",
        &text(kind),
        b"\x89\x88\x87R(K\x03",
        &text(order),
        b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\0tb\x89",
        data,
        b"tb",
    ]
    .concat()
}

/// What `np.savez` writes.
pub(super) fn npz(arrays: &[Named], packing: Packing) -> Vec<u8> {
    let members = arrays.iter().map(|array| {
        let name = format!("{}.npy", array.name);
        (name, npy(array, "<f8", false))
    });
    let members: Vec<(String, Vec<u8>)> = members.collect();
    let members: Vec<(&str, &[u8])> = members
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()))
        .collect();
    archive(&members, packing)
}

/// A MAT-file 5.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mat5 {
    pub(super) big_endian: bool,
    pub(super) compressed: bool,
    /// The type in which numbers are stored, with the code of its storage.
    pub(super) stored: (&'static str, u32),
}

impl Mat5 {
    fn u32(self, number: u32) -> [u8; 4] {
        match self.big_endian {
            true => number.to_be_bytes(),
            false => number.to_le_bytes(),
        }
    }

    /// An element with its padding, a small one where the data allow it.
    fn element(self, code: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        if data.len() <= 4 && !data.is_empty() {
            bytes.extend(self.u32((data.len() as u32) << 16 | code));
            bytes.extend(data);
            bytes.resize(8, 0);
            return bytes;
        }
        bytes.extend(self.u32(code));
        bytes.extend(self.u32(data.len() as u32));
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn variable(self, array: &Named) -> Vec<u8> {
        const DOUBLE: u32 = 6;
        let mut dims = array.shape.to_vec();
        while dims.len() < 2 {
            dims.push(1);
        }
        let (descr, code) = self.stored;
        let order = if self.big_endian { '>' } else { '<' };
        let values = transposed(&array.values, &dims);
        let dims: Vec<u8> = dims.iter().flat_map(|dim| self.u32(*dim as u32)).collect();
        let content = [
            self.element(6, &[self.u32(DOUBLE), [0; 4]].concat()),
            self.element(5, &dims),
            self.element(1, array.name.as_bytes()),
            self.element(code, &bytes_of(&values, &format!("{order}{descr}"))),
        ];
        let matrix = self.element(14, &content.concat());
        if !self.compressed {
            return matrix;
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(&matrix).expect("bytes");
        let data = encoder.finish().expect("compressed bytes");
        [&self.u32(15)[..], &self.u32(data.len() as u32), &data].concat()
    }

    /// The file's bytes.
    pub(super) fn file(self, arrays: &[Named]) -> Vec<u8> {
        let mut bytes = b"MATLAB 5.0 MAT-file, by a test".to_vec();
        bytes.resize(124, b' ');
        bytes.extend(match self.big_endian {
            true => *b"\x01\x00MI",
            false => *b"\x00\x01IM",
        });
        bytes.extend(arrays.iter().flat_map(|array| self.variable(array)));
        bytes
    }
}

/// An HDF5 file, with MATLAB's attributes and order of axes or without.
pub(super) fn hdf5(path: &Path, arrays: &[Named], is_matlab: bool) {
    let file = hdf5::File::create(path).expect("a file");
    for array in arrays {
        let mut shape = array.shape.to_vec();
        let mut values = array.values.clone();
        if is_matlab {
            while shape.len() < 2 {
                shape.push(1);
            }
            values = transposed(&values, &shape);
            shape.reverse();
        }
        if let Some((group, _)) = array.name.rsplit_once('/')
            && !file.link_exists(group)
        {
            file.create_group(group).expect("a group");
        }
        let dataset = file.new_dataset::<f64>().shape(shape).create(array.name);
        let dataset = dataset.expect("a dataset");
        dataset.write_raw(&values).expect("numbers");
        if is_matlab {
            let class = hdf5::types::VarLenAscii::from_ascii("double").expect("a name");
            let attribute = dataset.new_attr::<hdf5::types::VarLenAscii>();
            let attribute = attribute.create("MATLAB_class").expect("an attribute");
            attribute.write_scalar(&class).expect("a class");
        }
    }
}

/// What `np.savetxt` writes.
pub(super) fn csv(path: &Path, values: &[f64], columns: usize) {
    let lines = values.chunks(columns).map(|row| {
        let cells: Vec<String> = row.iter().map(|value| format!("{value:.3}")).collect();
        cells.join(",") + "\n"
    });
    fs::write(path, lines.collect::<String>()).expect("a table");
}
