//! A fixed reordering of the coordinates: z_d = x_{order\[d\]}.

use crate::product::TILE;

pub(super) fn to_base(order: &[usize], from: &[f32], to: &mut [f32]) {
    for (to, &d) in to.chunks_exact_mut(TILE).zip(order) {
        to.copy_from_slice(&from[d * TILE..(d + 1) * TILE]);
    }
}

pub(super) fn to_data(order: &[usize], from: &[f32], to: &mut [f32]) {
    for (from, &d) in from.chunks_exact(TILE).zip(order) {
        to[d * TILE..(d + 1) * TILE].copy_from_slice(from);
    }
}

/// Moves row d, the gradient by z_d, to row order\[d\], the gradient by x_{order\[d\]}, in place.
pub(super) fn backward(rows: &mut [f32], order: &[usize]) {
    for n in 0..TILE {
        // Follow each cycle once, from its smallest member.
        for start in 0..order.len() {
            let mut at = order[start];
            while at > start {
                at = order[at];
            }
            if at < start {
                continue;
            }
            let mut carried = rows[start * TILE + n];
            let mut at = order[start];
            while at != start {
                std::mem::swap(&mut carried, &mut rows[at * TILE + n]);
                at = order[at];
            }
            rows[start * TILE + n] = carried;
        }
    }
}
