//! How fast memory is read: a sum over a buffer, by all threads.

use rayon::prelude::*;
use std::hint::black_box;
use std::time::Instant;

/// Values that a thread takes at a time.
const PART: usize = 1 << 17;
/// Running sums of a thread, so that no addition waits for the one before it.
const SUMS: usize = 32;

/// Bytes a second at which all threads of the pool together read a buffer of `bytes`, the best of `passes`. It should be
/// several times as large as the caches.
pub fn read_bandwidth(bytes: usize, passes: usize) -> f64 {
    let mut buffer = vec![0u64; (bytes / size_of::<u64>()).max(SUMS)];
    // Pages are there only once they are written; each thread writes its own, so that they lie near it.
    buffer.par_chunks_mut(PART).for_each(|part| part.fill(1));
    (0..passes.max(1))
        .map(|_| {
            let began = Instant::now();
            let sum = buffer.par_chunks(PART).map(sum).reduce(|| 0, u64::wrapping_add);
            let seconds = began.elapsed().as_secs_f64();
            black_box(sum);
            size_of_val(buffer.as_slice()) as f64 / seconds.max(1e-9)
        })
        .fold(0.0, f64::max)
}

fn sum(part: &[u64]) -> u64 {
    let (chunks, rest) = part.as_chunks::<SUMS>();
    let mut sums = [0u64; SUMS];
    for chunk in chunks {
        sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum = sum.wrapping_add(*value));
    }
    sums.iter().chain(rest).fold(0, |sum, value| sum.wrapping_add(*value))
}
