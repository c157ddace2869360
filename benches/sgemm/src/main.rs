//! Times products of two square f32 matrices by the `gemm` crate: for each line `sgemm SIZE THREADS REPEATS` of
//! stdin prints seconds.

use std::time::Instant;

use gemm::Parallelism;

fn main() {
    for line in std::io::stdin().lines() {
        let line = line.expect("stdin can be read");
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["sgemm", size, threads, repeats] = words[..] else {
            panic!("unknown request: {line}");
        };
        println!("{}", sgemm(number(size), number(threads), number(repeats)));
    }
}

fn number(word: &str) -> usize {
    word.parse().expect("a number")
}

fn sgemm(size: usize, threads: usize, repeats: usize) -> f64 {
    let parallelism = match threads {
        1 => Parallelism::None,
        threads => Parallelism::Rayon(threads),
    };
    let left = vec![1.0_f32; size * size];
    let right = vec![0.5_f32; size * size];
    let mut product = vec![1.0_f32; size * size];
    let (column, row) = (1, size as isize);
    let start = Instant::now();
    for _ in 0..repeats {
        // SAFETY: all three matrices are row-major and hold size × size values.
        unsafe {
            gemm::gemm(
                size,
                size,
                size,
                product.as_mut_ptr(),
                column,
                row,
                false,
                left.as_ptr(),
                column,
                row,
                right.as_ptr(),
                column,
                row,
                0.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    assert_eq!(product[0], 0.5 * size as f32);
    seconds
}
