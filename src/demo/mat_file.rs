//! `data_full.mat` of a made-up subject, as an uncompressed little-endian MAT-file 5.

use super::brain::Brain;

const MI_INT8: u32 = 1;
const MI_INT32: u32 = 5;
const MI_UINT32: u32 = 6;
const MI_DOUBLE: u32 = 9;
const MI_MATRIX: u32 = 14;
const CLASS_STRUCT: u32 = 2;
const CLASS_DOUBLE: u32 = 6;
const FIELD_NAME_BYTES: usize = 32;

/// The bytes of the file, or `None` if a field is too long for the format (4 GiB).
pub(super) fn data_full(brain: &Brain, rate_hz: f64) -> Option<Vec<u8>> {
    let column = |k: usize| {
        brain
            .cell_xyz
            .iter()
            .filter_map(move |xyz| xyz.get(k).copied())
    };
    let cell_xyz: Vec<f64> = (0..3).flat_map(column).collect();
    let invalid: Vec<f64> = brain.invalid.iter().map(|&row| f64::from(row)).collect();
    let total = brain.cell_xyz.len();
    let fields: [(&str, [usize; 2], &[f64]); 4] = [
        ("numcell_full", [1, 1], &[total as f64]),
        ("CellXYZ", [total, 3], &cell_xyz),
        ("IX_inval_anat", [invalid.len(), 1], &invalid),
        ("fpsec", [1, 1], &[rate_hz]),
    ];
    let mut content = array_header(CLASS_STRUCT, [1, 1], "data")?;
    put(
        &mut content,
        MI_INT32,
        &(FIELD_NAME_BYTES as u32).to_le_bytes(),
    )?;
    let names: Vec<u8> = fields
        .iter()
        .flat_map(|(name, ..)| field_name(name))
        .collect();
    put(&mut content, MI_INT8, &names)?;
    for (_, dims, values) in fields {
        let mut field = array_header(CLASS_DOUBLE, dims, "")?;
        let bytes: Vec<u8> = values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect();
        put(&mut field, MI_DOUBLE, &bytes)?;
        put(&mut content, MI_MATRIX, &field)?;
    }
    let mut file = file_header();
    put(&mut file, MI_MATRIX, &content)?;
    Some(file)
}

fn file_header() -> Vec<u8> {
    let mut header = b"MATLAB 5.0 MAT-file, written by spikegrid-mpi demo-data".to_vec();
    header.resize(116, b' ');
    header.extend([0; 8]);
    header.extend([0x00, 0x01, b'I', b'M']);
    header
}

fn field_name(name: &str) -> [u8; FIELD_NAME_BYTES] {
    let mut padded = [0; FIELD_NAME_BYTES];
    for (to, from) in padded.iter_mut().zip(name.bytes()) {
        *to = from;
    }
    padded
}

fn array_header(class: u32, dims: [usize; 2], name: &str) -> Option<Vec<u8>> {
    let mut header = Vec::new();
    put(
        &mut header,
        MI_UINT32,
        &[class.to_le_bytes(), [0; 4]].concat(),
    )?;
    let [rows, columns] = [i32::try_from(dims[0]).ok()?, i32::try_from(dims[1]).ok()?];
    put(
        &mut header,
        MI_INT32,
        &[rows.to_le_bytes(), columns.to_le_bytes()].concat(),
    )?;
    put(&mut header, MI_INT8, name.as_bytes())?;
    Some(header)
}

/// Appends a data element, padded to a multiple of eight bytes.
fn put(to: &mut Vec<u8>, storage: u32, data: &[u8]) -> Option<()> {
    let size = u32::try_from(data.len()).ok()?;
    to.extend(storage.to_le_bytes());
    to.extend(size.to_le_bytes());
    to.extend(data);
    to.resize(to.len().next_multiple_of(8), 0);
    Some(())
}
