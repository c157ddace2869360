//! Positions of neurons in a file beside their traces: a table or an array with columns x, y, z (rule 2.6).

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use spikegrid_core::wording::counted;

use super::error::InputError;
use super::npy::NpyArray;
use super::text_table::{Separator, next_row, number};
use crate::hdf5_access::shape_text;
use crate::regular;

/// Names of files and arrays that hold positions, in lower case; the first that is there is taken.
const NAMES: [&str; 20] = [
    "positions",
    "position",
    "pos",
    "xyz",
    "cell_xyz",
    "cellxyz",
    "centroids",
    "centroid",
    "centers",
    "centres",
    "coordinates",
    "coords",
    "locations",
    "cell_positions",
    "cell_coordinates",
    "cell_centroids",
    "neuron_positions",
    "neuron_coordinates",
    "roi_positions",
    "roi_centroids",
];
/// Extensions of such files, the first first.
const EXTENSIONS: [&str; 2] = ["csv", "npy"];
/// Neurons, at most: 50 times those of a whole brain of a larval zebrafish.
const MOST_NEURONS: usize = 1 << 22;
/// What such a file should hold, for messages.
const WHAT: &str = "positions of neurons, with columns x, y, z";
/// Bytes of a line, at most.
const LONGEST_LINE: u64 = 1 << 16;

/// How early in the list a name of an array or file (without extension) comes, if it is one of those of positions.
pub(super) fn rank_of_name(name: &str) -> Option<usize> {
    let name = name.to_lowercase().replace([' ', '-'], "_");
    NAMES.iter().position(|known| *known == name)
}

/// The file with positions in a folder, if there is one.
pub(super) fn find(folder: &Path) -> Option<PathBuf> {
    // In no order: the folder of a Zarr array may have very many files.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let ranked = entries.map(|entry| entry.path()).filter_map(|path| {
        let extension = path.extension()?.to_str()?.to_lowercase();
        let kind = EXTENSIONS.iter().position(|known| *known == extension)?;
        let name = rank_of_name(path.file_stem()?.to_str()?)?;
        Some(((name, kind), path))
    });
    ranked.min().map(|(_, path)| path)
}

/// The x, y, z of each neuron, and the file that has them.
pub(super) type Placed = (Vec<[f64; 3]>, PathBuf);

/// The x, y, z of each neuron from the file with positions in a folder, with its path, if there is one. NaN where a coordinate is
/// missing.
///
/// # Errors
/// If the file cannot be read, does not have three columns of numbers, or has an infinite one.
pub(super) fn positions_beside(folder: &Path) -> Result<Option<Placed>, InputError> {
    match find(folder) {
        Some(path) => Ok(Some((read(&path)?, path))),
        None => Ok(None),
    }
}

/// Reads a file with positions, NaN where a coordinate is missing.
///
/// # Errors
/// As [`positions_beside`].
pub(super) fn read(path: &Path) -> Result<Vec<[f64; 3]>, InputError> {
    let is_array = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("npy"));
    let xyz = if is_array {
        read_npy(path)?
    } else {
        let file = regular::open(path).map_err(|error| wrong(path, error.to_string()))?;
        read_text(BufReader::new(file)).map_err(|found| wrong(path, found))?
    };
    checked(xyz, path)
}

fn wrong(path: &Path, found: String) -> InputError {
    InputError::File {
        path: path.to_owned(),
        what: WHAT,
        found,
    }
}

/// Whether a text is a table whose first line names columns x, y and z.
pub(super) fn is_table(path: &Path) -> bool {
    let mut line = Vec::new();
    let Ok(file) = regular::open(path) else {
        return false;
    };
    let read = next_row(&mut BufReader::new(file), &mut line, LONGEST_LINE);
    let cells = Separator::of(&line).cells(&line);
    read.is_ok() && Columns::named(&cells).is_some()
}

/// Positions none of which is infinite.
///
/// # Errors
/// The first that is.
pub(super) fn checked(xyz: Vec<[f64; 3]>, path: &Path) -> Result<Vec<[f64; 3]>, InputError> {
    let infinite = |xyz: &[f64; 3]| xyz.iter().any(|coordinate| coordinate.is_infinite());
    match xyz.iter().position(infinite) {
        None => Ok(xyz),
        Some(neuron) => Err(InputError::File {
            path: path.to_owned(),
            what: "finite coordinates (or NaN where unknown)",
            found: format!("{:?} for neuron {neuron}", xyz[neuron]),
        }),
    }
}

/// Reads a table. Where its first line names columns, those called x, y and z are taken, else there must be three.
fn read_text(mut file: impl BufRead) -> Result<Vec<[f64; 3]>, String> {
    let (mut line, mut place) = (Vec::new(), 0);
    let mut format: Option<(Separator, Columns)> = None;
    let mut xyz = Vec::new();
    loop {
        let read = next_row(&mut file, &mut line, LONGEST_LINE);
        let read = read.map_err(|error| error.to_string())?;
        if read.lines == 0 {
            return Ok(xyz);
        }
        place += read.lines;
        let (separator, columns) = match &format {
            Some((separator, columns)) => (*separator, columns.clone()),
            None => {
                let separator = Separator::of(&line);
                let (columns, is_header) = Columns::of(&separator.cells(&line), separator)?;
                format = Some((separator, columns.clone()));
                if is_header {
                    continue;
                }
                (separator, columns)
            }
        };
        let cells = separator.cells(&line);
        if cells.len() != columns.count {
            let (found, expected) = (counted(cells.len(), "cell"), columns.count);
            return Err(format!("{found} in line {place}, not {expected}"));
        }
        let axis = |column: usize| number::<f64>(cells[column], separator);
        match columns.xyz.map(axis) {
            [Some(x), Some(y), Some(z)] => xyz.push([x, y, z]),
            _ => {
                let text = String::from_utf8_lossy(&line);
                return Err(format!("{text:?} in line {place}"));
            }
        }
        if xyz.len() > MOST_NEURONS {
            return Err(format!("more than {MOST_NEURONS} of them"));
        }
    }
}

/// The columns of a table.
#[derive(Clone, Debug)]
struct Columns {
    /// Their number.
    count: usize,
    /// Those of x, y, z.
    xyz: [usize; 3],
}

impl Columns {
    /// The columns of a table with this first line, and whether the line names them.
    fn of(cells: &[&[u8]], separator: Separator) -> Result<(Self, bool), String> {
        let count = cells.len();
        let is_header = cells
            .iter()
            .any(|cell| number::<f64>(cell, separator).is_none());
        let xyz = match (Self::named(cells), count) {
            (Some(xyz), _) => xyz,
            (_, 3) => [0, 1, 2],
            // The first column numbers the rows, and has no name.
            (_, 4) if is_header && cells[0].is_empty() => [1, 2, 3],
            _ => {
                let names: Vec<_> = cells
                    .iter()
                    .map(|cell| String::from_utf8_lossy(cell))
                    .collect();
                let hint = match count {
                    2 => "; where all neurons lie in one plane, add a column z of zeros",
                    _ => "",
                };
                return Err(match is_header {
                    true => format!("the columns {}{hint}", names.join(", ")),
                    false => format!("{count} columns without names{hint}"),
                });
            }
        };
        Ok((Self { count, xyz }, is_header))
    }

    /// The columns that a first line calls x, y and z.
    fn named(cells: &[&[u8]]) -> Option<[usize; 3]> {
        let named = ["x", "y", "z"].map(|axis| cells.iter().position(|cell| is_axis(cell, axis)));
        match named {
            [Some(x), Some(y), Some(z)] => Some([x, y, z]),
            _ => None,
        }
    }
}

/// Whether the name of a column is that of an axis, with or without a unit: `x`, `X_um`, `x (µm)`, `centroid_x`.
fn is_axis(name: &[u8], axis: &str) -> bool {
    let name = String::from_utf8_lossy(name).trim().to_lowercase();
    let end = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric());
    name.strip_prefix(axis).is_some_and(end)
        || name.ends_with(&format!("_{axis}"))
        || name.ends_with(&format!(" {axis}"))
}

/// Reads an array of NumPy, (N, 3) or (3, N).
fn read_npy(path: &Path) -> Result<Vec<[f64; 3]>, InputError> {
    let array = NpyArray::open(path, WHAT)?;
    let shape = array.shape();
    if !shape.contains(&3) {
        return Err(wrong(path, format!("an array {}", shape_text(&shape))));
    }
    let values = array.values(3 * MOST_NEURONS)?;
    Ok(triples(&values, shape))
}

/// The positions in an (N, 3) or (3, N) array, whose numbers follow each other row by row.
pub(super) fn triples(values: &[f64], [_, columns]: [usize; 2]) -> Vec<[f64; 3]> {
    if columns == 3 {
        return values.as_chunks::<3>().0.to_vec();
    }
    let axis = |axis: usize| &values[axis * columns..][..columns];
    let (x, y, z) = (axis(0), axis(1), axis(2));
    (0..columns).map(|n| [x[n], y[n], z[n]]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::form::file_name;

    fn of_text(text: &str) -> Result<Vec<[f64; 3]>, String> {
        read_text(text.as_bytes())
    }

    #[test]
    fn rule_2_6_tables_of_positions_have_any_separator_and_a_header_or_none() {
        let expected = vec![[1.0, 2.5, -3.0], [4.0, 5.0, 6.0]];
        for text in [
            "1,2.5,-3\n4,5,6\n",
            "x,y,z\n1,2.5,-3\n4,5,6",
            "\u{feff}X;Y;Z\r\n1;2,5;-3\r\n4;5;6\r\n\r\n",
            "1\t2.5\t-3\n4\t5\t6",
            " 1.0  2.5 -3\n 4  5  6",
            "# x y z\n1 2.5 -3\n4 5 6",
            "z,id,y,x\n-3,a,2.5,1\n6,b,5,4",
            "\"x (µm)\",\"y (µm)\",\"z (µm)\"\n1,2.5,-3\n4,5,6",
            "cell,centroid_x,centroid_y,centroid_z\n1,1,2.5,-3\n2,4,5,6",
            ",a,b,c\n0,1,2.5,-3\n1,4,5,6",
            "first,second,third\n1,2.5,-3\n4,5,6",
        ] {
            assert_eq!(of_text(text).as_ref(), Ok(&expected), "{text:?}");
        }
        let missing = of_text("1,,nan\n").expect("a position");
        assert!(missing[0][0] == 1.0 && missing[0][1].is_nan() && missing[0][2].is_nan());
        for (text, words) in [
            ("1,2,3\n4,5", "2 cells in line 2, not 3"),
            ("1,2,3\n4,5,a", "\"4,5,a\" in line 2"),
            ("1,2,3,4\n", "4 columns without names"),
            (
                "x,y\n1,2\n",
                "the columns x, y; where all neurons lie in one plane, add a column z of zeros",
            ),
        ] {
            let found = of_text(text).expect_err(text);
            assert!(found.contains(words), "{found}");
        }
    }

    #[test]
    fn rule_2_6_arrays_of_positions_lie_in_either_order() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("positions.npy");
        let write = |shape: &str, order: &str, values: &[f64]| {
            let mut header =
                format!("{{'descr': '<f8', 'fortran_order': {order}, 'shape': {shape}, }}");
            header.push('\n');
            let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
            bytes.extend((header.len() as u16).to_le_bytes());
            bytes.extend(header.bytes());
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            fs::write(&path, bytes).expect("a file");
            positions_beside(folder.path())
        };
        let by_rows = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let by_axes = [1.0, 4.0, 2.0, 5.0, 3.0, 6.0];
        let expected = [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]];
        for (shape, order, values) in [
            ("(2, 3)", "False", by_rows),
            ("(2, 3)", "True", by_axes),
            ("(3, 2)", "False", by_axes),
            ("(3, 2)", "True", by_rows),
        ] {
            let found = write(shape, order, &values).expect("positions");
            let (found, from) = found.expect("a file");
            assert_eq!(
                (&found[..], &from),
                (&expected[..], &path),
                "{shape} {order}"
            );
        }
        let nine: Vec<f64> = (1..10).map(f64::from).collect();
        for (order, first) in [("False", [1.0, 2.0, 3.0]), ("True", [1.0, 4.0, 7.0])] {
            let (found, _) = write("(3, 3)", order, &nine)
                .expect("positions")
                .expect("a file");
            assert_eq!(found[0], first, "{order}");
        }
        let short = write("(300, 3)", "False", &by_rows).expect_err("a short file");
        assert!(short.to_string().contains("cut short"), "{short}");
        let infinite = write("(2, 3)", "False", &[1.0, f64::INFINITY, 0.0, 0.0, 0.0, 0.0]);
        let infinite = infinite.expect_err("an infinite coordinate").to_string();
        assert!(infinite.contains("neuron 0"), "{infinite}");
    }

    #[test]
    fn rule_2_6_the_first_name_of_the_list_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        assert_eq!(positions_beside(folder.path()).expect("nothing"), None);
        for name in ["xyz.npy", "Positions.csv", "positions.npy", "traces.csv"] {
            fs::write(folder.path().join(name), "1,2,3\n").expect("a file");
        }
        let (xyz, path) = positions_beside(folder.path())
            .expect("positions")
            .expect("a file");
        assert_eq!(
            (xyz, file_name(&path)),
            (vec![[1.0, 2.0, 3.0]], "Positions.csv".to_owned())
        );
    }
}
