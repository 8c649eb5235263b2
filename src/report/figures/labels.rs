//! Labels beside points that hide neither each other nor anything else.

use super::canvas::{Point, Rect};

/// Distances from a point that are tried.
const REACH: [f64; 5] = [11.0, 17.0, 25.0, 36.0, 50.0];

/// Whether two rectangles share an area.
fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.right() && b.x < a.right() && a.y < b.bottom() && b.y < a.bottom()
}

/// A square around a point.
pub fn around(at: Point, radius: f64) -> Rect {
    Rect::new(at.0 - radius, at.1 - radius, 2.0 * radius, 2.0 * radius)
}

/// Small squares along a line.
pub fn along(path: &[Point]) -> Vec<Rect> {
    let mut all = Vec::new();
    for pair in path.windows(2) {
        let (a, b) = (pair[0], pair[1]);
        let pieces = (b.0 - a.0).hypot(b.1 - a.1) / 8.0;
        let pieces = pieces.ceil().clamp(1.0, 500.0) as usize;
        for i in 0..=pieces {
            let t = i as f64 / pieces as f64;
            all.push(around((a.0 + t * (b.0 - a.0), a.1 + t * (b.1 - a.1)), 2.0));
        }
    }
    all
}

/// A place of this size beside one of the points, the first of them first and as near as can be, that
/// is within `area` and touches nothing of `taken`. Where there is none, one at the first point.
pub fn place((w, h): (f64, f64), points: &[Point], taken: &[Rect], area: &Rect) -> Rect {
    let straight = [(1.0, 0.0), (-1.0, 0.0), (0.0, -1.0), (0.0, 1.0)];
    let across = [(0.8, -0.8), (0.8, 0.8), (-0.8, -0.8), (-0.8, 0.8)];
    let beside = |at: &Point, reach: f64, (right, down): (f64, f64)| {
        let start = |at: f64, side: f64, size: f64| match side {
            s if s > 0.0 => at + s * reach,
            s if s < 0.0 => at + s * reach - size,
            _ => at - 0.5 * size,
        };
        Rect::new(start(at.0, right, w), start(at.1, down, h), w, h)
    };
    let inside = |r: &Rect| {
        r.x >= area.x && r.right() <= area.right() && r.y >= area.y && r.bottom() <= area.bottom()
    };
    for reach in REACH {
        for point in points {
            for side in straight.into_iter().chain(across) {
                let r = beside(point, reach, side);
                if inside(&r) && !taken.iter().any(|t| overlap(t, &r)) {
                    return r;
                }
            }
        }
    }
    let first = points.first().copied().unwrap_or((area.x, area.y));
    let mut r = beside(&first, REACH[0], straight[0]);
    r.x = r.x.min(area.right() - w).max(area.x);
    r.y = r.y.min(area.bottom() - h).max(area.y);
    r
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_a_crowd_stand_apart() {
        let area = Rect::new(0.0, 0.0, 300.0, 200.0);
        let points = [
            (150.0, 100.0),
            (156.0, 102.0),
            (150.0, 90.0),
            (290.0, 100.0),
            (10.0, 195.0),
        ];
        let mut taken: Vec<Rect> = points.iter().map(|p| around(*p, 5.0)).collect();
        for point in points {
            let r = place((40.0, 14.0), &[point], &taken, &area);
            assert!(!taken.iter().any(|t| overlap(t, &r)), "{point:?}: {r:?}");
            assert!(r.x >= 0.0 && r.right() <= 300.0 && r.y >= 0.0 && r.bottom() <= 200.0);
            taken.push(r);
        }
        let full = [area];
        let r = place((40.0, 14.0), &[(295.0, 5.0)], &full, &area);
        assert!(r.right() <= 300.0 && r.y >= 0.0);
        assert_eq!(along(&[(0.0, 0.0), (16.0, 0.0)]).len(), 3);
    }
}
