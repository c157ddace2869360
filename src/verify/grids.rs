//! The planes of a subject: stored and readable, 0 or 1, with their marker, and the spikes of `traces.h5` where that is there
//! (rules 7.2 and 8.1).

use std::ops::Range;

use spikegrid_core::wording::{counted, whole};
use spikegrid_files::output::written::{Planes, WrittenDataset};

use super::report::{Opened, Report};
use super::rules::{COLUMNS, PIXELS, Place, is_marker, marker_start};
use super::stream::{Judged, NoPixels, Scratch, Tally, judge_planes};

/// Memory for the spikes of neighbouring frames, in bytes.
const SPIKE_BYTES: usize = 32 << 20;
/// Bytes of spikes that are read at once.
const READ_BYTES: usize = 4 << 20;
const WORD: usize = u64::BITS as usize;

/// What can be wrong with planes. Each is a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nowhere,
    Unreadable,
    Value,
    Marker,
    Spikes,
}

impl Wrong {
    const ALL: [Self; 5] = [
        Self::Nowhere,
        Self::Unreadable,
        Self::Value,
        Self::Marker,
        Self::Spikes,
    ];

    fn rule(self) -> &'static str {
        match self {
            Self::Nowhere | Self::Unreadable | Self::Value => "rule 8.1",
            Self::Marker | Self::Spikes => "rule 7.2",
        }
    }
}

/// The first place where something is wrong.
#[derive(Debug, Clone, PartialEq)]
struct First {
    plane: usize,
    pixel: usize,
    expected: String,
    found: String,
}

#[derive(Debug, Clone, Default, PartialEq)]
struct Count {
    planes: u64,
    pixels: u64,
    first: Option<First>,
}

/// What is wrong with all planes.
#[derive(Debug, Default, PartialEq)]
struct Wrongs([Count; Wrong::ALL.len()]);

impl Wrongs {
    fn note(&mut self, wrong: Wrong, pixels: u64, first: impl FnOnce() -> First) {
        let count = &mut self.0[wrong as usize];
        count.planes += 1;
        count.pixels += pixels;
        count.first.get_or_insert_with(first);
    }
}

impl Tally for Wrongs {
    fn add(&mut self, later: Self) {
        for (count, later) in self.0.iter_mut().zip(later.0) {
            count.planes += later.planes;
            count.pixels += later.pixels;
            count.first = count.first.take().or(later.first);
        }
    }
}

/// The spikes that belong into the grids.
pub(super) struct Expected<'a> {
    /// Spikes of all neurons, (N, T).
    pub spikes: &'a WrittenDataset,
    /// The place of each neuron, (N,).
    pub places: &'a [Option<Place>],
}

/// Checks all planes of the grids, (T, Z, 256, 128).
pub(super) fn check(
    report: &mut Report,
    file: &Opened,
    grids: &WrittenDataset,
    expected: Option<&Expected>,
) -> Result<(), String> {
    let (frames, of_frame) = (grids.shape[0], grids.shape[1]);
    let planes = Planes::of(grids);
    let mut wrongs = Wrongs::default();
    match expected {
        None => {
            let all = 0..frames * of_frame;
            wrongs = judge_planes([&planes], all, |wrongs, plane, scratch| {
                judge(wrongs, &plane, scratch, of_frame, None);
            });
        }
        Some(expected) => {
            let slots = Slots::new(expected.places, of_frame);
            let step = slots.frames_in(SPIKE_BYTES);
            for start in (0..frames).step_by(step) {
                let block = start..frames.min(start + step);
                let spikes = slots.read(expected.spikes, &block)?;
                let places = block.start * of_frame..block.end * of_frame;
                wrongs.add(judge_planes([&planes], places, |wrongs, plane, scratch| {
                    judge(wrongs, &plane, scratch, of_frame, Some(&spikes));
                }));
            }
        }
    }
    tell(report, file, wrongs, &grids.shape);
    Ok(())
}

fn tell(report: &mut Report, file: &Opened, wrongs: Wrongs, shape: &[usize]) {
    let (planes, of_frame) = (shape[0] * shape[1], shape[1]);
    for (wrong, count) in Wrong::ALL.into_iter().zip(wrongs.0) {
        let Some(first) = count.first else {
            continue;
        };
        let (frame, plane) = (first.plane / of_frame, first.plane % of_frame);
        let (row, column) = (first.pixel / COLUMNS, first.pixel % COLUMNS);
        let of_planes = format!("{} of {}", whole(count.planes), counted(planes, "plane"));
        let (pixel, extent) = match wrong {
            Wrong::Nowhere | Wrong::Unreadable => (String::new(), of_planes),
            _ => (
                format!(", {row}, {column}"),
                format!("{} in {of_planes}", counted(count.pixels, "pixel")),
            ),
        };
        report.difference(
            format_args!("{}: grids[{frame}, {plane}{pixel}]", file.name),
            first.expected,
            first.found,
            format_args!("{}; {extent}", wrong.rule()),
        );
    }
}

/// Judges one plane; `spikes` are those of all neurons in some frames, the plane's among them.
fn judge(
    wrongs: &mut Wrongs,
    plane: &Judged<1>,
    scratch: &mut Scratch<1>,
    of_frame: usize,
    spikes: Option<&BlockSpikes>,
) {
    let place = plane.place;
    let [pixels] = plane.pixels(scratch);
    let pixels = match pixels {
        Ok(pixels) => pixels,
        Err(reason) => {
            let (wrong, found) = match reason {
                NoPixels::Nowhere => (Wrong::Nowhere, "none: it was never stored".to_owned()),
                NoPixels::Unreadable(reason) => (Wrong::Unreadable, reason),
            };
            return wrongs.note(wrong, 0, || First {
                plane: place,
                pixel: 0,
                expected: "a plane".into(),
                found,
            });
        }
    };
    let z = place % of_frame;
    let marker = marker_start(z)..COLUMNS;
    let Some(spikes) = spikes else {
        let marked = (0..2).all(|row| {
            pixels[row * COLUMNS..][marker.clone()]
                .iter()
                .all(|&pixel| pixel == 1)
        });
        // Without a branch for each pixel, which would take longer than to inflate them.
        if !marked || pixels.iter().fold(0, |all, pixel| all | pixel) > 1 {
            note_values(wrongs, place, z, pixels);
        }
        return;
    };
    let mut expected = [0; PIXELS];
    spikes.rasterise(place / of_frame, z, &mut expected);
    for row in 0..2 {
        expected[row * COLUMNS..][marker.clone()].fill(1);
    }
    if pixels != expected {
        note_values(wrongs, place, z, pixels);
        note_pixels(wrongs, Wrong::Spikes, place, pixels, |at, pixel| {
            let other = pixel <= 1 && pixel != expected[at] && !is_marker(z, at);
            other.then(|| match expected[at] {
                1 => "1 (a spike in traces.h5)".into(),
                _ => "0 (no spike in traces.h5)".into(),
            })
        });
    }
}

/// Notes pixels that are neither 0 nor 1, and those of the marker that are not 1.
fn note_values(wrongs: &mut Wrongs, plane: usize, z: usize, pixels: &[u8]) {
    note_pixels(wrongs, Wrong::Value, plane, pixels, |at, pixel| {
        (pixel > 1 && !is_marker(z, at)).then(|| "0 or 1".into())
    });
    note_pixels(wrongs, Wrong::Marker, plane, pixels, |at, pixel| {
        (is_marker(z, at) && pixel != 1).then(|| "1 (the marker)".into())
    });
}

/// Notes the pixels for which `expected` returns what they should be, if there are any.
fn note_pixels(
    wrongs: &mut Wrongs,
    wrong: Wrong,
    plane: usize,
    pixels: &[u8],
    expected: impl Fn(usize, u8) -> Option<String>,
) {
    let all = pixels.iter().enumerate();
    let mut found = all.filter_map(|(at, &pixel)| Some((at, pixel, expected(at, pixel)?)));
    if let Some((pixel, value, expected)) = found.next() {
        let count = found.count() as u64 + 1;
        wrongs.note(wrong, count, || First {
            plane,
            pixel,
            expected,
            found: value.to_string(),
        });
    }
}

/// Neurons in an order in which those of a plane are neighbours: each plane begins at a new word of bits.
struct Slots {
    /// The bit of each neuron, (N,); none for one without a position.
    bits: Vec<Option<u32>>,
    /// The pixel of each bit.
    pixels: Vec<u16>,
    /// The words of each plane, and at the end those of all.
    plane_words: Vec<usize>,
}

impl Slots {
    fn new(places: &[Option<Place>], planes: usize) -> Self {
        let mut neurons: Vec<usize> = (0..places.len())
            .filter(|&neuron| places[neuron].is_some())
            .collect();
        let plane = |neuron: usize| places[neuron].map_or(0, |place| place.plane);
        neurons.sort_by_key(|&neuron| plane(neuron));
        let mut slots = Self {
            bits: vec![None; places.len()],
            pixels: Vec::new(),
            plane_words: vec![0],
        };
        let mut neurons = neurons.into_iter().peekable();
        for of in 0..planes {
            while let Some(neuron) = neurons.next_if(|&neuron| plane(neuron) == of) {
                slots.bits[neuron] = Some(slots.pixels.len() as u32);
                let pixel = places[neuron].map_or(0, Place::pixel);
                slots.pixels.push(pixel as u16);
            }
            let words = slots.pixels.len().div_ceil(WORD);
            slots.pixels.resize(words * WORD, 0);
            slots.plane_words.push(words);
        }
        slots
    }

    fn words(&self) -> usize {
        self.plane_words.last().copied().unwrap_or(0)
    }

    /// How many frames of spikes fit into so many bytes.
    fn frames_in(&self, bytes: usize) -> usize {
        (bytes / 8 / self.words().max(1)).max(1)
    }

    /// Reads the spikes, (N, T), of some frames.
    fn read(
        &self,
        spikes: &WrittenDataset,
        frames: &Range<usize>,
    ) -> Result<BlockSpikes<'_>, String> {
        let words = self.words();
        let mut block = BlockSpikes {
            slots: self,
            first: frames.start,
            words: vec![0; words * frames.len()],
        };
        let neurons = self.bits.len();
        let together = (READ_BYTES / frames.len().max(1)).max(1);
        for start in (0..neurons).step_by(together) {
            let rows = start..neurons.min(start + together);
            let bytes = spikes.part::<u8>(&[rows.clone(), frames.clone()])?;
            for (row, bit) in bytes.chunks_exact(frames.len()).zip(&self.bits[rows]) {
                let Some(bit) = bit else {
                    continue;
                };
                let (word, bit) = (*bit as usize / WORD, 1 << (*bit as usize % WORD));
                for frame in spikes_in(row) {
                    block.words[frame * words + word] |= bit;
                }
            }
        }
        Ok(block)
    }
}

/// The places of the bytes that are not 0, few of many.
fn spikes_in(row: &[u8]) -> impl Iterator<Item = usize> + '_ {
    const TOGETHER: usize = 16;
    let groups = row.chunks(TOGETHER).enumerate();
    let some = groups.filter(|(_, group)| group.iter().any(|&byte| byte != 0));
    some.flat_map(|(number, group)| {
        let bytes = group.iter().enumerate().filter(|(_, byte)| **byte != 0);
        bytes.map(move |(place, _)| number * TOGETHER + place)
    })
}

/// The spikes of all neurons in neighbouring frames: frame by frame, a bit per neuron.
struct BlockSpikes<'a> {
    slots: &'a Slots,
    first: usize,
    words: Vec<u64>,
}

impl BlockSpikes<'_> {
    /// Sets the pixels of a plane to 1 where a neuron spikes in a frame.
    fn rasterise(&self, frame: usize, plane: usize, pixels: &mut [u8; PIXELS]) {
        let Slots {
            plane_words,
            pixels: pixel_of,
            ..
        } = self.slots;
        let before = (frame - self.first) * self.slots.words();
        for word in plane_words[plane]..plane_words[plane + 1] {
            let mut bits = self.words[before + word];
            while bits != 0 {
                let bit = word * WORD + bits.trailing_zeros() as usize;
                pixels[usize::from(pixel_of[bit]) % PIXELS] = 1;
                bits &= bits - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use spikegrid_files::output::written::WrittenFile;

    use super::*;

    #[test]
    fn rule_9_6_spikes_are_rasterised_block_by_block() {
        const NEURONS: usize = 200;
        const FRAMES: usize = 37;
        let spike = |neuron: usize, frame: usize| neuron * 7 % 31 == frame || frame == neuron % 5;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("traces.h5");
        let all = (0..NEURONS).flat_map(|n| (0..FRAMES).map(move |t| u8::from(spike(n, t))));
        let file = hdf5::File::create(&path).unwrap();
        let dataset = file.new_dataset::<u8>().shape((NEURONS, FRAMES));
        let dataset = dataset.create("spikes").unwrap();
        dataset.write_raw(&all.collect::<Vec<_>>()).unwrap();
        drop((dataset, file));
        // Planes without neurons, neurons without a place, shared pixels.
        let place = |neuron: usize| {
            (!neuron.is_multiple_of(9)).then_some(Place {
                plane: [0, 2, 2, 3][neuron % 4],
                row: neuron % 16,
                column: neuron % 3,
            })
        };
        let places: Vec<Option<Place>> = (0..NEURONS).map(place).collect();
        let spikes = WrittenFile::open(&path).unwrap().dataset("spikes").unwrap();
        let slots = Slots::new(&places, 5);
        for step in [1, 8, 11, FRAMES] {
            for start in (0..FRAMES).step_by(step) {
                let frames = start..FRAMES.min(start + step);
                let block = slots.read(&spikes, &frames).unwrap();
                for (frame, plane) in frames.flat_map(|frame| (0..5).map(move |z| (frame, z))) {
                    let mut pixels = [0; PIXELS];
                    block.rasterise(frame, plane, &mut pixels);
                    let mut expected = [0; PIXELS];
                    for (neuron, place) in places.iter().enumerate() {
                        if let Some(place) = place.filter(|place| place.plane == plane) {
                            expected[place.pixel()] |= u8::from(spike(neuron, frame));
                        }
                    }
                    assert!(pixels == expected, "frame {frame}, plane {plane}");
                }
            }
        }
    }

    #[test]
    fn rule_9_6_the_spikes_of_any_recording_fit_into_the_memory_for_them() {
        let place = |plane| {
            Some(Place {
                plane,
                row: 0,
                column: 0,
            })
        };
        let slots = Slots::new(&(0..6400).map(|n| place(n % 10)).collect::<Vec<_>>(), 10);
        assert_eq!(slots.words(), 100);
        assert_eq!(slots.frames_in(SPIKE_BYTES), SPIKE_BYTES / 800);
        assert_eq!(Slots::new(&[], 3).frames_in(SPIKE_BYTES), SPIKE_BYTES / 8);
        assert_eq!(slots.frames_in(1), 1);
    }
}
