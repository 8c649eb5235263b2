//! Expressions whose form is known.

use super::{Kind, Monomial, MAX_ANGLE, MAX_DEGREE};
use crate::expression::{Expression, Function, Node};

/// The largest number of operations of a sum of monomials.
const MAX_NODES: usize = 1000;

impl Kind {
    /// The form of an expression, by its operations.
    pub(super) fn of(expression: Expression) -> Self {
        let nodes = expression.nodes();
        let known = match nodes {
            [Node::Radius] => Some(Self::Radius(1)),
            [Node::Radius, Node::Number(k), Node::Power(0, 1)] => {
                whole(*k, MAX_DEGREE).map(Self::Radius)
            }
            [inner @ .., Node::Call(function, _)] => called(*function, inner),
            _ => None,
        };
        let sum = || {
            if nodes.len() > MAX_NODES {
                return None;
            }
            let terms = polynomial(nodes, nodes.len() - 1)?;
            let degree = |term: &Monomial| term.iter().map(|(_, p)| p).sum::<i32>();
            let fits =
                |(c, term): &(f64, Monomial)| *c == 1.0 && (1..=MAX_DEGREE).contains(&degree(term));
            let all = terms.iter().all(fits);
            all.then(|| Self::Sum(terms.into_iter().map(|(_, term)| term).collect()))
        };
        known.or_else(sum).unwrap_or(Self::Expression(expression))
    }
}

/// A wave of a multiple of theta, or the logarithm of a part of a whole.
fn called(function: Function, inner: &[Node]) -> Option<Kind> {
    let multiple = match inner {
        [Node::Theta] => Some(1),
        [Node::Number(k), Node::Theta, Node::Multiply(0, 1)]
        | [Node::Theta, Node::Number(k), Node::Multiply(0, 1)] => whole(*k, MAX_ANGLE),
        _ => None,
    };
    match (function, multiple.map(f64::from), inner) {
        (Function::Cos, Some(k), _) => Some(Kind::Cos(k)),
        (Function::Sin, Some(k), _) => Some(Kind::Sin(k)),
        (Function::Log, _, [Node::Coordinate(d)]) => Some(Kind::Log(*d)),
        (Function::Log, _, [Node::Rest]) => Some(Kind::LogRest),
        _ => None,
    }
}

/// `value` as a whole number between 1 and `most`.
fn whole(value: f64, most: i32) -> Option<i32> {
    let whole = value as i32;
    (f64::from(whole) == value && (1..=most).contains(&whole)).then_some(whole)
}

/// The terms of a polynomial with their coefficients, if the operation `at` is one.
fn polynomial(nodes: &[Node], at: usize) -> Option<Vec<(f64, Monomial)>> {
    let part = |at: usize| polynomial(nodes, at);
    match nodes[at] {
        Node::Number(value) => Some(vec![(value, Monomial::new())]),
        Node::Coordinate(d) => Some(vec![(1.0, vec![(d, 1)])]),
        Node::Add(a, b) => Some([part(a)?, part(b)?].concat()),
        Node::Multiply(a, b) => match (part(a)?.as_slice(), part(b)?.as_slice()) {
            ([(c, left)], [(d, right)]) => Some(vec![(c * d, product(left, right))]),
            _ => None,
        },
        Node::Power(a, b) => match (part(a)?.as_slice(), nodes[b]) {
            ([(1.0, term)], Node::Number(k)) => {
                let k = whole(k, MAX_DEGREE)?;
                Some(vec![(1.0, term.iter().map(|(d, p)| (*d, p * k)).collect())])
            }
            _ => None,
        },
        _ => None,
    }
}

/// The product of two monomials.
pub(super) fn product(a: &Monomial, b: &Monomial) -> Monomial {
    let mut all = a.clone();
    for (d, p) in b {
        match all.iter_mut().find(|(e, _)| e == d) {
            Some((_, known)) => *known += p,
            None => all.push((*d, *p)),
        }
    }
    all.sort_unstable();
    all
}
