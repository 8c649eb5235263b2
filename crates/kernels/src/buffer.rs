//! Buffers aligned to cache lines.

use std::ops::{Deref, DerefMut};

const LINE: usize = 64;

/// A fixed number of f32, initially zero, at an address divisible by 64: a vector that straddles two
/// cache lines costs twice.
pub(crate) struct Buffer {
    data: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    pub(crate) fn new(len: usize) -> Self {
        let data = vec![0.0; len + LINE / 4];
        let start = data.as_ptr().align_offset(LINE).min(LINE / 4);
        Self { data, start, len }
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.data[self.start..self.start + self.len]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.data[self.start..self.start + self.len]
    }
}
