//! From text to operations.

use std::f64::consts::{E, PI};

use super::{Function, Node};
use crate::error::did_you_mean;

/// The largest number of operations.
const MAX_NODES: usize = 100_000;

/// The largest number of operations inside each other.
const MAX_DEPTH: usize = 200;

/// Names that are neither functions nor coordinates.
const WORDS: [&str; 7] = ["r", "theta", "rest", "sum", "pi", "e", "D"];

/// What is wrong with an expression, and at which column.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("expected {expected}; got {got} at column {column}{hint}")]
pub struct Fault {
    /// What may stand there.
    pub expected: String,
    /// What stands there.
    pub got: String,
    /// Where, counted in characters from 1.
    pub column: usize,
    /// ` (did you mean ...?)`, or nothing.
    pub hint: String,
}

impl Fault {
    /// What stands where in `text`.
    pub fn found(&self, text: &str) -> String {
        format!(
            "{} at column {} of `{text}`{}",
            self.got, self.column, self.hint
        )
    }
}

type Parsed<T> = Result<T, Fault>;

struct Parser<'a> {
    text: &'a str,
    /// The next byte.
    at: usize,
    dim: usize,
    /// Names with values: those of the caller, then the indices of sums around this place.
    names: Vec<(String, f64)>,
    nodes: Vec<Node>,
    /// Whether this place is read for its end alone, in the body of an empty sum.
    unused: bool,
    depth: usize,
}

/// Whether a constant or an index cannot have this name.
pub fn is_taken(name: &str) -> bool {
    let digits = |rest: &str| rest.bytes().all(|b| b.is_ascii_digit());
    let function = Function::ALL.iter().any(|(f, _)| *f == name);
    let coordinate = name == "y" || name == "z" || name.strip_prefix('x').is_some_and(digits);
    function || coordinate || WORDS.contains(&name)
}

/// The operations of `text`.
pub(super) fn nodes(text: &str, dim: usize, constants: &[(String, f64)]) -> Parsed<Vec<Node>> {
    let own = [("pi", PI), ("e", E), ("D", dim as f64)];
    let own = own.map(|(name, value)| (name.to_owned(), value));
    let mut parser = Parser {
        text,
        at: 0,
        dim,
        names: own.into_iter().chain(constants.iter().cloned()).collect(),
        nodes: Vec::new(),
        unused: false,
        depth: 0,
    };
    let value = parser.sum()?;
    parser.skip();
    if parser.at < text.len() {
        return Err(parser.fault("an operator such as `+`, `*` or `^`, or the end", parser.at));
    }
    // A constant may stand before operations that have been replaced by their value.
    parser.nodes.truncate(value + 1);
    Ok(parser.nodes)
}

impl<'a> Parser<'a> {
    /// Adds an operation, or its value where that is known; gives its place.
    fn push(&mut self, node: Node) -> Parsed<usize> {
        if self.nodes.len() >= MAX_NODES {
            let expected = format!("at most {MAX_NODES} operations, those of sums included");
            return Err(self.fault(&expected, self.at));
        }
        let inputs: &[usize] = match &node {
            Node::Number(_) | Node::Coordinate(_) | Node::Radius | Node::Theta | Node::Rest => &[],
            Node::Add(a, b) | Node::Subtract(a, b) | Node::Multiply(a, b) => &[*a, *b],
            Node::Divide(a, b) | Node::Power(a, b) => &[*a, *b],
            Node::Call(_, a) => &[*a],
        };
        let known = inputs
            .iter()
            .all(|i| matches!(self.nodes[*i], Node::Number(_)));
        if let (true, Some(&first)) = (known, inputs.first()) {
            let number = |node: &Node| match node {
                Node::Number(value) => *value,
                _ => f64::NAN,
            };
            let values: Vec<f64> = self.nodes.iter().map(number).collect();
            let value = node.value(&[], &values);
            // The numbers are the last operations, and nothing else uses them.
            self.nodes.truncate(first);
            self.nodes.push(Node::Number(value));
        } else {
            self.nodes.push(node);
        }
        Ok(self.nodes.len() - 1)
    }

    fn sum(&mut self) -> Parsed<usize> {
        let mut left = self.product()?;
        loop {
            let make = match self.sign(['+', '-']) {
                Some('+') => Node::Add,
                Some(_) => Node::Subtract,
                None => return Ok(left),
            };
            let right = self.product()?;
            left = self.push(make(left, right))?;
        }
    }

    fn product(&mut self) -> Parsed<usize> {
        let mut left = self.signed()?;
        loop {
            let make = match self.sign(['*', '/']) {
                Some('*') => Node::Multiply,
                Some(_) => Node::Divide,
                None => return Ok(left),
            };
            let right = self.signed()?;
            left = self.push(make(left, right))?;
        }
    }

    /// A sign binds less than a power: `-x^2` is -(x^2).
    fn signed(&mut self) -> Parsed<usize> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            let expected = format!("at most {MAX_DEPTH} operations inside each other");
            return Err(self.fault(&expected, self.at));
        }
        let value = match self.sign(['+', '-']) {
            Some('-') => {
                let minus = self.push(Node::Number(-1.0))?;
                let value = self.signed()?;
                self.push(Node::Multiply(minus, value))?
            }
            Some(_) => self.signed()?,
            None => {
                let base = self.operand()?;
                match self.sign(['^']) {
                    None => base,
                    Some(_) => {
                        let exponent = self.signed()?;
                        self.push(Node::Power(base, exponent))?
                    }
                }
            }
        };
        self.depth -= 1;
        Ok(value)
    }

    fn operand(&mut self) -> Parsed<usize> {
        self.skip();
        let start = self.at;
        if self.sign(['(']).is_some() {
            let value = self.sum()?;
            self.need(')')?;
            return Ok(value);
        }
        if let Some(number) = self.number() {
            return self.push(Node::Number(number));
        }
        let word = self.word();
        let function = Function::ALL.iter().find(|(name, _)| *name == word);
        if let Some((_, function)) = function {
            self.need('(')?;
            let value = self.sum()?;
            self.need(')')?;
            return self.push(Node::Call(*function, value));
        }
        // The innermost index of a sum hides others of its name.
        let known = self.names.iter().rev().find(|(name, _)| name == word);
        if let Some((_, value)) = known {
            return self.push(Node::Number(*value));
        }
        match word {
            "sum" => self.series(),
            "r" => self.push(Node::Radius),
            "rest" => self.push(Node::Rest),
            "theta" if self.dim == 2 => self.push(Node::Theta),
            "theta" => Err(self.fault("D = 2 for the angle `theta`", start)),
            "x" if self.sign(['[']).is_some() => {
                let place = self.at;
                let d = self.whole("a coordinate")?;
                self.need(']')?;
                self.coordinate(d, place)
            }
            "x" => self.coordinate(1, start),
            "y" => self.coordinate(2, start),
            "z" => self.coordinate(3, start),
            _ => match word.strip_prefix('x').map(str::parse) {
                Some(Ok(d)) => self.coordinate(d, start),
                _ => Err(self.unknown(word, start)),
            },
        }
    }

    /// x_d, counted from 1.
    fn coordinate(&mut self, d: i64, place: usize) -> Parsed<usize> {
        match usize::try_from(d - 1) {
            Ok(d) if d < self.dim => self.push(Node::Coordinate(d)),
            _ if self.unused => self.push(Node::Number(0.0)),
            _ => Err(self.unknown("", place)),
        }
    }

    /// `(i, from, to, body)`
    fn series(&mut self) -> Parsed<usize> {
        self.need('(')?;
        self.skip();
        let place = self.at;
        let index = self.word();
        if index.is_empty() || is_taken(index) {
            let expected = "a new name for the index, as in `sum(i, 1, D, x[i])`";
            return Err(self.fault(expected, place));
        }
        self.need(',')?;
        let from = self.whole("the first index")?;
        self.need(',')?;
        let to = self.whole("the last index")?;
        self.need(',')?;
        if to - from > MAX_NODES as i64 {
            return Err(self.fault(&format!("at most {MAX_NODES} terms"), place));
        }
        let (start, outside) = (self.at, self.unused);
        self.unused = outside || to < from;
        let (first, mut total) = (self.nodes.len(), None);
        // The body of an empty sum is read once, for its end.
        for i in from..=to.max(from) {
            self.at = start;
            self.names.push((index.to_owned(), i as f64));
            let term = self.sum()?;
            self.names.pop();
            total = Some(match total {
                None => term,
                Some(total) => self.push(Node::Add(total, term))?,
            });
        }
        let total = match total {
            Some(total) if from <= to => total,
            _ => {
                self.nodes.truncate(first);
                self.push(Node::Number(0.0))?
            }
        };
        self.unused = outside;
        self.need(')')?;
        Ok(total)
    }

    /// A whole number, by an expression of numbers.
    fn whole(&mut self, what: &str) -> Parsed<i64> {
        self.skip();
        let place = self.at;
        let value = self.sum()?;
        match self.nodes.get(value) {
            Some(Node::Number(v)) if v.fract() == 0.0 && v.abs() < 1e9 => {
                let whole = *v as i64;
                self.nodes.truncate(value);
                Ok(whole)
            }
            _ => Err(self.fault(&format!("a whole number for {what}"), place)),
        }
    }

    fn unknown(&self, word: &str, place: usize) -> Fault {
        let coordinates = match self.dim {
            1 => "`x`".to_owned(),
            2 => "`x`, `y`".to_owned(),
            3 => "`x`, `y`, `z`".to_owned(),
            d => format!("`x1` to `x{d}`"),
        };
        let expected = format!(
            "a number, a function or one of {coordinates}, `r`, `pi` ... (points have D = {})",
            self.dim
        );
        let names = self.names.iter().map(|(name, _)| name.as_str());
        let names = names.chain(Function::ALL.iter().map(|(name, _)| *name));
        let mut fault = self.fault(&expected, place);
        if word.len() > 1 {
            fault.hint = did_you_mean(word, names.chain(WORDS));
        }
        fault
    }

    /// Beyond white space.
    fn skip(&mut self) {
        self.at = self.text.len() - self.text[self.at..].trim_start().len();
    }

    /// The next character if it is one of these signs.
    fn sign<const N: usize>(&mut self, signs: [char; N]) -> Option<char> {
        self.skip();
        let next = self.text[self.at..].chars().next();
        let found = next.filter(|c| signs.contains(c));
        self.at += usize::from(found.is_some());
        found
    }

    fn need(&mut self, sign: char) -> Parsed<()> {
        match self.sign([sign]) {
            Some(_) => Ok(()),
            None => Err(self.fault(&format!("`{sign}`"), self.at)),
        }
    }

    fn word(&mut self) -> &'a str {
        let rest = &self.text[self.at..];
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    /// The longest beginning that is a number, such as `1.5e-3`.
    fn number(&mut self) -> Option<f64> {
        let rest = &self.text[self.at..];
        rest.chars()
            .next()
            .filter(|c| c.is_ascii_digit() || *c == '.')?;
        let fits = |c: char| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-');
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        let read = |length: usize| Some((length, rest[..length].parse().ok()?));
        let (length, value) = (1..=length).rev().find_map(read)?;
        self.at += length;
        Some(value)
    }

    /// What stands at the byte `place` is not what was `expected`.
    fn fault(&self, expected: &str, place: usize) -> Fault {
        let rest = &self.text[place..];
        let part = |c: char| c.is_alphanumeric() || c == '_';
        let length = match rest.chars().next() {
            Some(c) if part(c) => rest.find(|c| !part(c)).unwrap_or(rest.len()),
            first => first.map_or(0, char::len_utf8),
        };
        Fault {
            expected: expected.to_owned(),
            got: match length {
                0 => "the end".to_owned(),
                _ => format!("`{}`", &rest[..length]),
            },
            column: self.text[..place].chars().count() + 1,
            hint: String::new(),
        }
    }
}
