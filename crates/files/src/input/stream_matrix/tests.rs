use std::fs;
use std::io::Write;

use flate2::Compression;
use flate2::write::ZlibEncoder;

use super::*;
use crate::hdf5_access::NumberKind;
use crate::input::panel::Panel;
use crate::input::place::Place;
use crate::input::source::Location;
use crate::zip::tests::deflate;

/// A matrix of numbered numbers, of a byte between them and what comes before.
fn written(folder: &std::path::Path, shape: [usize; 2], coding: &str) -> StreamPlace {
    let count = shape[0] * shape[1];
    let mut bytes = vec![3; 80];
    bytes.extend((0..count).flat_map(|number| (number as f32).to_le_bytes()));
    bytes.extend([5; 3]);
    let mut crc = Crc::new();
    crc.update(&bytes);
    let (stream, coding) = match coding {
        "zlib" => {
            let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(&bytes).expect("bytes");
            (encoder.finish().expect("a stream"), Coding::Zlib)
        }
        _ => {
            let (length, crc) = (bytes.len() as u64, crc.sum());
            (deflate(&bytes), Coding::Deflate { length, crc })
        }
    };
    let path = folder.join("stream");
    let end = 11 + stream.len() as u64;
    fs::write(&path, [&[9; 11][..], &stream, &[8; 5]].concat()).expect("a file");
    StreamPlace {
        path,
        stored: 11..end,
        coding,
        skipped: 80,
        numbers: NumberType::little_endian(NumberKind::F32),
        shape,
    }
}

fn check(place: &StreamPlace, orientation: Orientation, pieces: &[Piece]) {
    let storage = place.storage(orientation);
    let matrix = Matrix::open(place, orientation).expect("a matrix");
    for piece in pieces {
        let mut samples = Samples::new(&storage, piece.clone());
        matrix.read(piece, &mut [&mut samples]).expect("a piece");
        let traces = samples.traces(&piece.neurons);
        let mut found = traces.iter();
        for neuron in piece.neurons.clone() {
            for frame in piece.frames.clone() {
                let number = match orientation {
                    Orientation::FramesByNeurons => frame * place.shape[1] + neuron,
                    Orientation::NeuronsByFrames => neuron * place.shape[1] + frame,
                };
                assert_eq!(found.next(), Some(&(number as f32)));
            }
        }
    }
}

#[test]
fn rule_2_6_pieces_of_a_stream_are_read_in_any_order() {
    let folder = tempfile::tempdir().expect("a folder");
    for coding in ["zlib", "deflate"] {
        for shape in [[900, 700], [3, 300_000], [1, 5]] {
            let place = written(folder.path(), shape, coding);
            for orientation in [Orientation::FramesByNeurons, Orientation::NeuronsByFrames] {
                let storage = place.storage(orientation);
                let (neurons, frames) = (storage.neurons(), storage.frames());
                let mut pieces = storage.pieces(0..neurons);
                pieces.extend(storage.pieces(neurons / 2..neurons));
                pieces.push(Piece {
                    neurons: neurons - 1..neurons,
                    frames: frames / 2..frames,
                });
                pieces.push(Piece {
                    neurons: 0..1,
                    frames: 0..1,
                });
                check(&place, orientation, &pieces);
            }
            let count = (shape[0] * shape[1]) as u32;
            let values = read_values(&place, count as usize).expect("numbers");
            assert!(values.iter().copied().eq((0..count).map(f64::from)));
            assert!(read_values(&place, count as usize - 1).is_err());
        }
    }
}

#[test]
fn rule_2_6_a_stream_that_is_damaged_or_claims_too_much_is_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for coding in ["zlib", "deflate"] {
        let place = written(folder.path(), [20, 30], coding);
        let whole = fs::read(&place.path).expect("a file");
        let read = |place: &StreamPlace| {
            let storage = place.storage(Orientation::NeuronsByFrames);
            let location = Location::from(Panel::new(Place::Stream(place.clone()), storage));
            let samples = location.open()?.read_neurons(0..storage.neurons())?;
            Ok::<_, InputError>(samples.traces(&(0..storage.neurons())))
        };
        let intact = read(&place).expect("an intact stream");
        for at in place.stored.start as usize..place.stored.end as usize {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&place.path, damaged).expect("a file");
            // The few bits that mean nothing, such as those after the last block.
            assert!(
                read(&place).is_err_and(|error| error.to_string().contains("damaged"))
                    || read(&place).is_ok_and(|found| found == intact)
                    || read(&place).is_err_and(|error| error.to_string().contains("too early")),
                "{coding}, byte {at}"
            );
        }
        fs::write(&place.path, &whole[..whole.len() - 20]).expect("a file");
        assert!(read(&place).is_err());
        fs::write(&place.path, &whole).expect("a file");
        for shape in [[usize::MAX, 2], [1 << 40, 30], [20_000, 30_000], [0, 3]] {
            let claims = StreamPlace {
                shape,
                ..place.clone()
            };
            assert!(
                Matrix::open(&claims, Orientation::NeuronsByFrames).is_err(),
                "{shape:?}"
            );
        }
    }
}
