//! Moments that no density has, and statistics that bound no density.

use super::form::product;
use super::{Kind, Monomial, Statistics, MAX_DEGREE};

/// The square root of a monomial, if it is one.
fn root(monomial: &Monomial) -> Option<Monomial> {
    monomial
        .iter()
        .map(|(d, p)| (p % 2 == 0).then_some((*d, p / 2)))
        .collect()
}

impl Statistics {
    /// Why no density has these expectations of the statistics; `None` if no reason was found. The
    /// conditions are necessary, not sufficient.
    ///
    /// - Every moment is finite; even monomials, their sums and powers of the radius are above 0.
    /// - Cauchy-Schwarz, `E[ab]^2 < E[a^2] E[b^2]` for monomials a and b, where a sum of even
    ///   monomials bounds each of its terms. With b = 1 this is `E[x]^2 < E[x^2]`.
    /// - Lyapunov, `E[r^j]^(1/j) < E[r^k]^(1/k)` for j < k, and so for sums of even powers over the
    ///   same coordinates.
    /// - `E[cos]^2 + E[sin]^2 < 1` for one multiple of theta.
    /// - Jensen on the simplex, `E[log x_k] < log E[x_k]` and `sum_k exp E[log x_k] < 1`.
    ///
    /// All hold strictly for distributions with a density.
    pub fn infeasible(&self, moments: &[f64]) -> Option<String> {
        if moments.len() != self.len() {
            return Some(format!(
                "expected {} moments, one per statistic; got {}",
                self.len(),
                moments.len()
            ));
        }
        if let Some(i) = moments.iter().position(|m| !m.is_finite()) {
            return Some(format!("{} is not finite", self.said(i, moments)));
        }
        self.not_positive(moments)
            .or_else(|| self.against_cauchy_schwarz(moments))
            .or_else(|| self.against_lyapunov(moments))
            .or_else(|| self.off_the_circle(moments))
            .or_else(|| self.against_jensen(moments))
    }

    /// "E[x^2] = 4"
    fn said(&self, i: usize, moments: &[f64]) -> String {
        format!("E[{}] = {}", self.names[i], moments[i])
    }

    fn not_positive(&self, moments: &[f64]) -> Option<String> {
        let positive = |kind: &Kind| match kind {
            Kind::Radius(_) => true,
            Kind::Sum(terms) => terms.iter().all(|t| root(t).is_some()),
            _ => false,
        };
        let at = (0..self.len()).find(|i| positive(&self.kinds[*i]) && !(moments[*i] > 0.0))?;
        let said = self.said(at, moments);
        Some(format!(
            "{said}, but `{}` is never negative",
            self.names[at]
        ))
    }

    /// The least upper bound on E[a^2] among all moments, and the index of its statistic (`None` for
    /// E[1] = 1).
    fn bound(&self, a: &Monomial, moments: &[f64]) -> Option<(f64, Option<usize>)> {
        if a.is_empty() {
            return Some((1.0, None));
        }
        let square = product(a, a);
        let holds = |i: &usize| match &self.kinds[*i] {
            Kind::Sum(terms) => terms.contains(&square) && terms.iter().all(|t| root(t).is_some()),
            // r^k with k even is a sum that has x_d^k as a term.
            Kind::Radius(k) => square.len() == 1 && square[0].1 == *k,
            _ => false,
        };
        (0..self.len())
            .filter(holds)
            .min_by(|i, j| moments[*i].total_cmp(&moments[*j]))
            .map(|i| (moments[i], Some(i)))
    }

    fn against_cauchy_schwarz(&self, moments: &[f64]) -> Option<String> {
        for (i, kind) in self.kinds.iter().enumerate() {
            let Kind::Sum(terms) = kind else { continue };
            let [monomial] = terms.as_slice() else {
                continue;
            };
            for (a, b) in factors(monomial) {
                let bounds = (self.bound(&a, moments), self.bound(&b, moments));
                let (Some((left, by)), Some((right, and))) = bounds else {
                    continue;
                };
                // A moment bounds itself where a = b.
                if by == Some(i) || and == Some(i) {
                    continue;
                }
                let most = match by == and && a != b {
                    // |ab| <= (a^2 + b^2) / 2
                    true => 0.5 * left,
                    false => (left * right).sqrt(),
                };
                if moments[i].abs() >= most {
                    let said = self.said(i, moments);
                    let mut others = vec![by, and];
                    others.dedup();
                    let others = others.into_iter().flatten();
                    let others: Vec<_> = others.map(|j| self.said(j, moments)).collect();
                    let others = others.join(" and ");
                    return Some(format!(
                        "{said}, but with {others} its size is below {most} (Cauchy-Schwarz)"
                    ));
                }
            }
        }
        None
    }

    /// The power k and the coordinates of r^k or of a sum of k-th powers with k even, scaled such
    /// that M_k^(1/k) rises with k.
    fn power_mean(&self, i: usize, moments: &[f64]) -> Option<(i32, Vec<usize>, f64)> {
        match &self.kinds[i] {
            Kind::Radius(k) => Some((*k, vec![usize::MAX], moments[i])),
            Kind::Sum(terms) => {
                let k = terms[0].first()?.1;
                let same = |t: &Monomial| t.len() == 1 && t[0].1 == k && k % 2 == 0;
                terms.iter().all(same).then(|| {
                    let over = terms.iter().map(|t| t[0].0).collect();
                    (k, over, moments[i] / terms.len() as f64)
                })
            }
            _ => None,
        }
    }

    fn against_lyapunov(&self, moments: &[f64]) -> Option<String> {
        let mut means: Vec<_> = (0..self.len())
            .filter_map(|i| self.power_mean(i, moments).map(|mean| (i, mean)))
            .collect();
        // The sum of all squares is a power of the radius too.
        let all: Vec<usize> = (0..self.dim).collect();
        let squares = means
            .iter()
            .find(|(_, (k, over, _))| *k == 2 && *over == all);
        if let Some((i, _)) = squares {
            means.push((*i, (2, vec![usize::MAX], moments[*i])));
        }
        for (i, (j_power, over, low)) in &means {
            for (j, (k_power, same, high)) in &means {
                let (p, q) = (f64::from(*j_power), f64::from(*k_power));
                if p < q && over == same && low.powf(1.0 / p) >= high.powf(1.0 / q) {
                    return Some(format!(
                        "{} is too large for {}: power means rise with the power (Lyapunov)",
                        self.said(*i, moments),
                        self.said(*j, moments)
                    ));
                }
            }
        }
        None
    }

    fn off_the_circle(&self, moments: &[f64]) -> Option<String> {
        for (i, kind) in self.kinds.iter().enumerate() {
            let (Kind::Cos(k) | Kind::Sin(k)) = kind else {
                continue;
            };
            if moments[i].abs() >= 1.0 {
                let said = self.said(i, moments);
                return Some(format!("{said}, but `{}` is within (-1, 1)", self.names[i]));
            }
            let sine = |other: &Kind| *other == Kind::Sin(*k) && other != kind;
            if let Some(j) = self.kinds.iter().position(sine) {
                let square = moments[i].powi(2) + moments[j].powi(2);
                if square >= 1.0 {
                    return Some(format!(
                        "{} and {} have squares that sum to {square}, but those of a mean \
                         direction sum to less than 1",
                        self.said(i, moments),
                        self.said(j, moments)
                    ));
                }
            }
        }
        None
    }

    fn against_jensen(&self, moments: &[f64]) -> Option<String> {
        if !self.on_simplex() {
            return None;
        }
        let mean_of = |d: usize| {
            let mean = Kind::Sum(vec![vec![(d, 1)]]);
            self.kinds.iter().position(|kind| *kind == mean)
        };
        let mut sum = 0.0;
        for (i, kind) in self.kinds.iter().enumerate() {
            let mean = match kind {
                Kind::Log(d) => mean_of(*d),
                Kind::LogRest => None,
                _ => continue,
            };
            let said = self.said(i, moments);
            if moments[i] >= 0.0 {
                return Some(format!("{said}, but a part of a whole is below 1"));
            }
            if let Some(j) = mean.filter(|j| !(moments[i] < moments[*j].ln())) {
                let other = self.said(j, moments);
                return Some(format!(
                    "{said}, but with {other} it is below log {} (Jensen)",
                    moments[j]
                ));
            }
            sum += moments[i].exp();
        }
        (sum >= 1.0).then(|| {
            format!(
                "exp E[log x_k] sums to {sum} over the logarithms, but is at most E[x_k] each \
                 (Jensen) and the parts sum to 1"
            )
        })
    }

    /// Why densities exp(eta.T) cannot fall off in every direction, or `None`.
    ///
    /// Let k_d be the largest power with which a sum of even monomials (as x_d^k) or a power of the
    /// radius grows along coordinate d. Every coordinate needs one, and no monomial prod x_d^p_d
    /// may outgrow them all: sum_d p_d / k_d <= 1. With equality, as for `x*y` beside `x^2` and
    /// `y^2`, the moments decide. A problem that fails the test has no maximum for almost all
    /// moments: mass escapes to infinity, where the entropy grows at no cost. On the simplex it always
    /// has one; of an expression of another form nothing is known.
    pub fn unbounded_direction(&self) -> Option<String> {
        let any = |kind: &Kind| matches!(kind, Kind::Expression(_));
        if self.on_simplex() || self.kinds.iter().any(any) {
            return None;
        }
        let mut growth = vec![0; self.dim];
        for kind in &self.kinds {
            match kind {
                Kind::Radius(k) => growth.iter_mut().for_each(|g| *g = (*g).max(*k)),
                Kind::Sum(terms) if terms.iter().all(|t| root(t).is_some()) => {
                    for term in terms.iter().filter(|t| t.len() == 1) {
                        growth[term[0].0] = growth[term[0].0].max(term[0].1);
                    }
                }
                _ => {}
            }
        }
        if let Some(d) = growth.iter().position(|g| *g == 0) {
            let name = self.variable(d);
            return Some(format!(
                "nothing bounds `{name}`: no statistic grows with an even power of it, such as \
                 `{name}^2` or `r^2`"
            ));
        }
        for (kind, name) in self.kinds.iter().zip(&self.names) {
            let Kind::Sum(terms) = kind else { continue };
            for term in terms {
                let size = |(d, p): &(usize, i32)| f64::from(*p) / f64::from(growth[*d]);
                if term.iter().map(size).sum::<f64>() > 1.0 + 1e-9 {
                    let degree: i32 = term.iter().map(|(_, p)| p).sum();
                    let even = (degree + 1) / 2 * 2;
                    let hint = if even <= MAX_DEGREE {
                        format!("; add one such as `r^{even}`")
                    } else {
                        String::new()
                    };
                    return Some(format!(
                        "`{name}` outgrows every even power of the statistics{hint}"
                    ));
                }
            }
        }
        None
    }

    fn variable(&self, d: usize) -> String {
        match (self.dim, d) {
            (1..=3, _) => ["x", "y", "z"][d].to_owned(),
            _ => format!("x{}", d + 1),
        }
    }
}

/// Every way to write a monomial as a product of two, 1 included, each pair once.
fn factors(monomial: &Monomial) -> Vec<(Monomial, Monomial)> {
    let mut splits = vec![(Monomial::new(), Monomial::new())];
    for &(d, p) in monomial {
        let times = &|part: &Monomial, q: i32| -> Monomial {
            let power = (q > 0).then_some((d, q));
            part.iter().copied().chain(power).collect()
        };
        let with = |(a, b): &(Monomial, Monomial)| -> Vec<_> {
            (0..=p).map(|q| (times(a, q), times(b, p - q))).collect()
        };
        splits = splits.iter().flat_map(with).collect();
    }
    splits.retain(|(a, b)| a <= b);
    splits
}
