//! The program's side of `scripts/bench.sh`: does what stdin asks for, line by line, and prints the seconds that each took.
//!
//! ```text
//! inference NEURONS FRAMES THREADS ARCH     ΔF/F to spike rates; ARCH is avx512 or avx2
//! gpu NEURONS FRAMES                        the network alone, on a GPU; no number where there is none
//! dff FRAMES HALF MISSING                   F to ΔF/F of one neuron after the other; every MISSING-th sample is NaN
//! sample FRAMES                             rates to spikes
//! rasterise NEURONS                         bit-packed spikes to grids of 29 planes, 1 % of the pixels 1
//! read FILE STRETCHES                       all pieces of the dataset CellResp, in order
//! turn FILE                                 the traces of all its units, once it is read
//! stream FILE                               the same bytes in the order of the file
//! parts FILE STRETCHES                      the same parts of rows from the disk, eight at a time
//! inflate FILE                              the same chunks, each once, in the order of the file
//! ```
//!
//! `figures grids FOLDER FRAMES REPEATS`, on the ranks of a launcher, writes grids: see [`grids`]. With the same arguments,
//! `figures planes` puts compressed planes into a file (see [`planes`]), and `figures contiguous` those that are not (see [`contiguous`]).

#[path = "../data/mod.rs"]
mod data;

mod compute;
mod contiguous;
mod grids;
mod planes;
mod reading;

use compute::Compute;
use spikegrid_mpi::memory::keep_freed_blocks;

fn main() {
    keep_freed_blocks();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["grids", folder, frames, repeats] => {
            grids::run(folder.as_ref(), number(frames), number(repeats));
        }
        ["planes", folder, frames, repeats] => {
            planes::run(folder.as_ref(), number(frames), number(repeats));
        }
        ["contiguous", folder, frames, repeats] => {
            contiguous::run(folder.as_ref(), number(frames), number(repeats));
        }
        ["serve"] => serve(),
        _ => println!("driven by scripts/bench.sh"),
    }
}

fn serve() {
    let mut compute = Compute::new();
    for line in std::io::stdin().lines() {
        let line = line.expect("stdin can be read");
        let words: Vec<&str> = line.split_whitespace().collect();
        let seconds = match words[..] {
            ["inference", neurons, frames, threads, arch] => {
                compute.inference(number(neurons), number(frames), number(threads), arch)
            }
            ["gpu", neurons, frames] => compute.gpu(number(neurons), number(frames)),
            ["dff", frames, half, missing] => {
                compute.dff(number(frames), number(half), number(missing))
            }
            ["sample", frames] => compute.sample(number(frames)),
            ["rasterise", neurons] => compute.rasterise(number(neurons)),
            ["read", file, stretches] => reading::pieces(file.as_ref(), number(stretches)),
            ["turn", file] => reading::turn(file.as_ref()),
            ["stream", file] => reading::stream(file.as_ref()),
            ["parts", file, stretches] => reading::parts(file.as_ref(), number(stretches)),
            ["inflate", file] => reading::inflate(file.as_ref()),
            _ => panic!("unknown request: {line}"),
        };
        println!("{seconds}");
    }
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}
