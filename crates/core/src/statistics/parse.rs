//! Names of statistics as an experiment file has them.

use super::{Kind, Monomial, MAX_ANGLE, MAX_DEGREE};
use crate::error::{did_you_mean, BadValue};

/// What may stand at the beginning of a name, for suggestions.
const WORDS: [&str; 5] = ["cos", "sin", "theta", "log", "rest"];

/// A position in one name.
pub(super) struct Parser<'a> {
    text: &'a str,
    /// Place of `text` in the list of names.
    index: usize,
    dim: usize,
    at: usize,
}

type Parsed<T> = Result<T, BadValue>;

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a str, index: usize, dim: usize) -> Self {
        Self {
            text,
            index,
            dim,
            at: 0,
        }
    }

    /// The whole name: a radial power, a wave, a logarithm, or a sum of monomials.
    pub(super) fn statistic(mut self) -> Parsed<Kind> {
        let start = self.skip();
        let kind = match self.word() {
            "r" => Kind::Radius(self.power()?),
            "cos" => Kind::Cos(self.angle(start)?),
            "sin" => Kind::Sin(self.angle(start)?),
            "log" => self.logarithm()?,
            _ => {
                self.at = start;
                self.sum()?
            }
        };
        let end = self.skip();
        if end < self.text.len() {
            let expected = match kind {
                Kind::Sum(_) => "`+`, `*`, `^` or the end",
                _ => "the end, since only monomials can be added or multiplied",
            };
            return Err(self.fault(expected, end));
        }
        Ok(kind)
    }

    fn sum(&mut self) -> Parsed<Kind> {
        let mut terms = vec![self.monomial()?];
        while self.take('+') {
            terms.push(self.monomial()?);
        }
        Ok(Kind::Sum(terms))
    }

    fn monomial(&mut self) -> Parsed<Monomial> {
        let start = self.skip();
        let mut powers: Vec<(usize, i32)> = Vec::new();
        loop {
            let variable = self.variable()?;
            let power = self.power()?;
            match powers.iter_mut().find(|(d, _)| *d == variable) {
                Some((_, known)) => *known += power,
                None => powers.push((variable, power)),
            }
            if !self.take('*') {
                break;
            }
        }
        powers.sort_unstable();
        let degree: i32 = powers.iter().map(|(_, p)| p).sum();
        if degree > MAX_DEGREE {
            let expected = format!("a total degree of at most {MAX_DEGREE}");
            let got = format!("degree {degree} at column {}", start + 1);
            return Err(self.wrong(&expected, &got));
        }
        Ok(powers)
    }

    /// `^k` with 1 <= k <= 6; 1 where there is no `^`.
    fn power(&mut self) -> Parsed<i32> {
        if !self.take('^') {
            return Ok(1);
        }
        let start = self.skip();
        match self.digits().parse() {
            Ok(power) if (1..=MAX_DEGREE).contains(&power) => Ok(power),
            _ => Err(self.fault(
                &format!("a whole power between 1 and {MAX_DEGREE} after `^`"),
                start,
            )),
        }
    }

    /// A coordinate, counted from 0.
    fn variable(&mut self) -> Parsed<usize> {
        let start = self.skip();
        let word = self.word();
        let variable = match word {
            "x" => Some(0),
            "y" => Some(1),
            "z" => Some(2),
            _ => word
                .strip_prefix('x')
                .filter(|digits| !digits.starts_with('0'))
                .and_then(|digits| digits.parse::<usize>().ok())
                .map(|d| d - 1),
        };
        if let Some(d) = variable.filter(|d| *d < self.dim) {
            return Ok(d);
        }
        let names = self.variables();
        let hint = if word.len() > 1 && variable.is_none() {
            did_you_mean(word, WORDS)
        } else {
            String::new()
        };
        let expected = format!("one of {names} (the data has D = {})", self.dim);
        let mut fault = self.fault(&expected, start);
        fault.got += &hint;
        Err(fault)
    }

    fn variables(&self) -> String {
        match self.dim {
            1 => "`x`, `x1`".to_owned(),
            2 => "`x`, `y`, `x1`, `x2`".to_owned(),
            d => format!("`x`, `y`, `z`, `x1` to `x{d}`"),
        }
    }

    /// `(k*theta)` or `(theta)`.
    fn angle(&mut self, start: usize) -> Parsed<f64> {
        if self.dim != 2 {
            let expected = "D = 2 for the angle `theta`";
            return Err(self.wrong(
                expected,
                &format!("D = {} at column {}", self.dim, start + 1),
            ));
        }
        self.need('(')?;
        let place = self.skip();
        let digits = self.digits();
        let multiple = if digits.is_empty() {
            1
        } else {
            match digits.parse() {
                Ok(k) if (1..=MAX_ANGLE).contains(&k) => {
                    self.need('*')?;
                    k
                }
                _ => {
                    let expected = format!("a whole multiple of theta, 1 to {MAX_ANGLE}");
                    return Err(self.fault(&expected, place));
                }
            }
        };
        let place = self.skip();
        if self.word() != "theta" {
            return Err(self.fault("`theta`, as in `cos(2*theta)`", place));
        }
        self.need(')')?;
        Ok(f64::from(multiple))
    }

    /// `(x2)` or `(rest)`.
    fn logarithm(&mut self) -> Parsed<Kind> {
        self.need('(')?;
        let place = self.skip();
        let kind = if self.word() == "rest" {
            Kind::LogRest
        } else {
            self.at = place;
            Kind::Log(self.variable().map_err(|mut fault| {
                fault.expected += ", or `rest` for 1 minus their sum";
                fault
            })?)
        };
        self.need(')')?;
        Ok(kind)
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    /// Beyond white space; gives the new place.
    fn skip(&mut self) -> usize {
        self.at = self.text.len() - self.rest().trim_start().len();
        self.at
    }

    fn span(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        self.skip();
        let rest = self.rest();
        let length = rest.find(|c| !fits(c)).unwrap_or(rest.len());
        self.at += length;
        &rest[..length]
    }

    fn word(&mut self) -> &'a str {
        let start = self.skip();
        if self.rest().starts_with(|c: char| c.is_ascii_digit()) {
            return &self.text[start..start];
        }
        self.span(|c| c.is_ascii_alphanumeric() || c == '_')
    }

    fn digits(&mut self) -> &'a str {
        self.span(|c| c.is_ascii_digit())
    }

    fn take(&mut self, sign: char) -> bool {
        self.skip();
        let found = self.rest().starts_with(sign);
        self.at += usize::from(found);
        found
    }

    fn need(&mut self, sign: char) -> Parsed<()> {
        let place = self.skip();
        if self.take(sign) {
            Ok(())
        } else {
            Err(self.fault(&format!("`{sign}`"), place))
        }
    }

    fn wrong(&self, expected: &str, got: &str) -> BadValue {
        let (text, index) = (self.text, self.index);
        BadValue::new(
            "statistics",
            expected,
            format_args!("{got} of `{text}` in statistics[{index}]"),
        )
    }

    /// What stands at the byte `place` is not what was `expected`.
    fn fault(&self, expected: &str, place: usize) -> BadValue {
        let alike = |c: char, first: char| {
            let part = |c: char| c.is_alphanumeric() || c == '_' || c == '.';
            part(c) && part(first)
        };
        let rest = &self.text[place..];
        let column = self.text[..place].chars().count() + 1;
        let Some(first) = rest.chars().next() else {
            return self.wrong(expected, &format!("the end at column {column}"));
        };
        let length = rest
            .char_indices()
            .skip(1)
            .find(|(_, c)| !alike(*c, first))
            .map_or(rest.len(), |(i, _)| i);
        self.wrong(
            expected,
            &format!("`{}` at column {column}", &rest[..length]),
        )
    }
}
