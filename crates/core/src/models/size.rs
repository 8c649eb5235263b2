//! A model's number of parameters, and the same model at another size.
//!
//! Widths are the lists `hidden` anywhere in a specification; layers, components and bins never
//! change.

use candle_core::Tensor;
use toml::Value;

use super::ModelSpec;
use crate::error::BadValue;
use crate::nn::mlp::check_hidden;
use crate::nn::Params;
use crate::{Error, Result};

/// How far a model may be from a budget of parameters, as a share of it.
const TOLERANCE: f64 = 0.03;

/// A model with widths that give it a wanted number of parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Sized {
    /// The model.
    pub model: ModelSpec,
    /// Its trainable numbers.
    pub parameters: usize,
}

/// The lists `hidden` below `value`, in the order of the file.
fn lists<'v>(value: &'v mut Value, found: &mut Vec<&'v mut Value>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table.iter_mut() {
                match value {
                    Value::Array(_) if key == "hidden" => found.push(value),
                    _ => lists(value, found),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| lists(item, found)),
        _ => {}
    }
}

fn as_value(model: &ModelSpec) -> Result<Value> {
    Value::try_from(model).map_err(|e| Error::failed(format!("could not read a model: {e}")))
}

impl ModelSpec {
    /// The widths of all conditioners in the specification, in the order of the file.
    pub fn widths(&self) -> Result<Vec<Vec<usize>>> {
        let mut value = as_value(self)?;
        let mut found = Vec::new();
        lists(&mut value, &mut found);
        let width = |v: &Value| v.as_integer().and_then(|w| usize::try_from(w).ok());
        let list = |v: &&mut Value| {
            v.as_array()
                .map(|all| all.iter().filter_map(width).collect())
        };
        Ok(found.iter().filter_map(list).collect())
    }

    /// The same model with these widths in place of [`ModelSpec::widths`].
    ///
    /// # Errors
    /// If the number of lists differs.
    pub fn with_widths(&self, widths: &[Vec<usize>]) -> Result<Self> {
        let mut value = as_value(self)?;
        let mut found = Vec::new();
        lists(&mut value, &mut found);
        if found.len() != widths.len() {
            return Err(Error::failed(format!(
                "expected {} lists of widths; got {}",
                found.len(),
                widths.len()
            )));
        }
        for (place, list) in found.into_iter().zip(widths) {
            let list = list.iter().map(|&w| Value::Integer(w as i64));
            *place = Value::Array(list.collect());
        }
        value
            .try_into()
            .map_err(|e| Error::failed(format!("could not set the widths of a model: {e}")))
    }

    /// Number of trainable parameters over `dim` coordinates, from the shapes alone; `None` where the
    /// training points decide it.
    pub fn parameters(&self, dim: usize) -> Result<Option<usize>> {
        if self.is_sized_by_points() {
            return Ok(None);
        }
        let params = Params::shapes();
        self.build(&params, dim, None)?;
        Ok(Some(params.count()))
    }

    /// The same model with its size as building it from `points` (n, dim) with these parameters
    /// decides it.
    pub fn settled(&self, params: &Params, points: Option<&Tensor>) -> Result<Self> {
        let settled = points
            .map(|points| self.settle(params, points))
            .transpose()?;
        Ok(settled.flatten().unwrap_or_else(|| self.clone()))
    }

    /// The model with its widths multiplied by a common factor, each rounded up or down, so that the
    /// number of trainable parameters is as near to `budget` as widths allow. Where rounding leaves it
    /// more than 3 % away, single widths may differ by one more. `None` for a model without widths,
    /// or whose size the points decide ([`ModelSpec::settled`]).
    ///
    /// # Errors
    /// If no widths come within 3 % of the budget.
    pub fn sized(
        &self,
        dim: usize,
        budget: usize,
    ) -> Result<std::result::Result<Option<Sized>, BadValue>> {
        let typed = self.widths()?;
        if typed.concat().is_empty() || self.parameters(dim)?.is_none() {
            return Ok(Ok(None));
        }
        let mut search = Search {
            model: self,
            typed,
            dim,
            budget,
            known: Vec::new(),
        };
        let (low, high) = search.bracket()?;
        for reach in [0, 1] {
            let near = search.around(&low, &high, reach);
            if let Some(found) = search.nearest(&near)? {
                return Ok(Ok(Some(found)));
            }
        }
        search.failed(vec![low, high]).map(Err)
    }
}

/// The search for widths, with the counts found so far.
struct Search<'a> {
    model: &'a ModelSpec,
    typed: Vec<Vec<usize>>,
    dim: usize,
    budget: usize,
    known: Vec<(Vec<usize>, usize)>,
}

impl Search<'_> {
    /// The model with these widths, given in one row.
    fn model(&self, widths: &[usize]) -> Result<ModelSpec> {
        let mut rest = widths;
        let lists: Vec<Vec<usize>> = self
            .typed
            .iter()
            .map(|list| {
                let (own, others) = rest.split_at(list.len());
                rest = others;
                own.to_vec()
            })
            .collect();
        self.model.with_widths(&lists)
    }

    fn count(&mut self, widths: &[usize]) -> Result<usize> {
        if let Some((_, count)) = self.known.iter().find(|(w, _)| w == widths) {
            return Ok(*count);
        }
        // A layer wider than the whole budget is too large: do not build it.
        let largest = widths.iter().max().copied().unwrap_or(0);
        let count = if largest > self.budget || check_hidden(&[largest]).is_err() {
            usize::MAX
        } else {
            self.model(widths)?
                .parameters(self.dim)?
                .unwrap_or(usize::MAX)
        };
        self.known.push((widths.to_vec(), count));
        Ok(count)
    }

    fn scaled(&self, factor: f64) -> Vec<usize> {
        let typed = self.typed.concat();
        let one = |w: usize| ((w as f64 * factor).floor() as usize).max(1);
        typed.into_iter().map(one).collect()
    }

    /// The widths by the largest factor within the budget and by the smallest beyond it; twice the
    /// same where even widths of 1 are beyond it.
    fn bracket(&mut self) -> Result<(Vec<usize>, Vec<usize>)> {
        if self.count(&self.scaled(0.0))? > self.budget {
            return Ok((self.scaled(0.0), self.scaled(0.0)));
        }
        // From below, so that no model much larger than the budget is built.
        let largest = self.typed.concat().into_iter().max().unwrap_or(1);
        let (mut low, mut high) = (0.0, 1.0 / largest as f64);
        while self.count(&self.scaled(high))? <= self.budget {
            (low, high) = (high, 2.0 * high);
        }
        // Closer factors give the same widths, up to the largest width.
        while high - low > 1e-9 * high {
            let middle = 0.5 * (low + high);
            if self.count(&self.scaled(middle))? > self.budget {
                high = middle;
            } else {
                low = middle;
            }
        }
        Ok((self.scaled(low), self.scaled(high)))
    }

    /// All widths between the two and up to `reach` beyond them; with more than four widths, only the
    /// mixtures of a first part of one and a last part of the other.
    fn around(&self, low: &[usize], high: &[usize], reach: usize) -> Vec<Vec<usize>> {
        if low.len() > 4 {
            let mix = |at: usize| {
                [
                    [&high[..at], &low[at..]].concat(),
                    [&low[..at], &high[at..]].concat(),
                ]
            };
            return (0..=low.len()).flat_map(mix).collect();
        }
        low.iter()
            .zip(high)
            .fold(vec![Vec::new()], |all, (&l, &h)| {
                let range = l.saturating_sub(reach).max(1)..=h + reach;
                all.iter()
                    .flat_map(|widths| {
                        let longer = move |w| [widths.as_slice(), &[w]].concat();
                        range.clone().map(longer)
                    })
                    .collect()
            })
    }

    /// The widths whose count is nearest to the budget, if it is near enough.
    fn nearest(&mut self, widths: &[Vec<usize>]) -> Result<Option<Sized>> {
        let counts = widths.iter().map(|w| self.count(w));
        let counts = counts.collect::<Result<Vec<_>>>()?;
        let off = |i: usize| counts[i].abs_diff(self.budget);
        let best = (0..widths.len()).min_by_key(|&i| off(i));
        match best.filter(|&i| off(i) as f64 <= TOLERANCE * self.budget as f64) {
            Some(i) => Ok(Some(Sized {
                model: self.model(&widths[i])?,
                parameters: counts[i],
            })),
            None => Ok(None),
        }
    }

    /// The error that nothing is near enough, with the counts on both sides of the budget.
    fn failed(&mut self, mut sides: Vec<Vec<usize>>) -> Result<BadValue> {
        sides.dedup();
        let mut counts = Vec::new();
        for widths in sides {
            let lists = self.model(&widths)?.widths()?.into_iter();
            let lists: Vec<_> = lists.map(|l| format!("hidden = {l:?}")).collect();
            match self.count(&widths)? {
                usize::MAX => {}
                count => counts.push(format!("{count} with {}", lists.join(", "))),
            }
        }
        let off = TOLERANCE * self.budget as f64;
        let (least, most) = (self.budget as f64 - off, self.budget as f64 + off);
        Ok(BadValue::new(
            "hidden",
            format!(
                "widths that give {:.0} to {:.0} parameters in {} dimensions, within 3 % of \
                 `budget.parameters` = {}",
                least.ceil(),
                most.floor(),
                self.dim,
                self.budget
            ),
            format!(
                "{} (try another number of layers, or a budget near one of these)",
                counts.join(" and ")
            ),
        ))
    }
}

#[cfg(test)]
mod tests;
