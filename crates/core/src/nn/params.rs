//! Named parameters: made from a seed or read from a file, always visited in the order of their
//! names, so that sums over them are reproducible.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use candle_core::{DType, Device, Shape, Tensor, Var};

use crate::em::{Findings, Tried};
use crate::rng::Rng;
use crate::{Error, Result};

/// A view of the parameter store below a path; members are made through it.
#[derive(Clone)]
pub struct Params {
    store: Rc<RefCell<Store>>,
    path: String,
    findings: Rc<RefCell<Findings>>,
}

struct Store {
    source: Source,
    dtype: DType,
    device: Device,
    kernels: mdn_kernels::Choice,
    vars: BTreeMap<String, (Var, bool)>,
    /// Entries of trainable parameters that a mask sets to 0.
    masked: usize,
}

enum Source {
    Seed(Box<Rng>),
    File(BTreeMap<String, Tensor>),
    Shapes,
}

/// The most numbers that all parameters together may have: 8 GiB with gradients and moments in
/// double precision.
const MAX_NUMBERS: usize = 1 << 28;

/// A copy of every parameter's value.
pub type Snapshot = BTreeMap<String, Tensor>;

impl Params {
    /// An empty store whose members start from `rng`; each draws from the stream of its own name,
    /// so that a new member changes no other.
    pub fn seeded(rng: Rng, dtype: DType, device: &Device) -> Self {
        Self::with(Source::Seed(Box::new(rng)), dtype, device)
    }

    /// An empty store whose members take the values of `tensors`.
    pub fn from_tensors(tensors: Snapshot, dtype: DType, device: &Device) -> Self {
        Self::with(Source::File(tensors), dtype, device)
    }

    /// An empty store that only records the shapes of its members: all values are 0. It serves to
    /// count the parameters of a model ([`Params::count`]).
    pub fn shapes() -> Self {
        Self::with(Source::Shapes, DType::F32, &Device::Cpu)
            .with_kernels(mdn_kernels::Choice::Plain)
    }

    fn with(source: Source, dtype: DType, device: &Device) -> Self {
        Self {
            store: Rc::new(RefCell::new(Store {
                source,
                dtype,
                device: device.clone(),
                kernels: mdn_kernels::Choice::default(),
                vars: BTreeMap::new(),
                masked: 0,
            })),
            path: String::new(),
            findings: Rc::default(),
        }
    }

    /// An empty store that starts from the same seed, for a model that is built twice; their findings are the
    /// same.
    ///
    /// # Errors
    /// When values do not come from a seed.
    pub fn again(&self) -> Result<Self> {
        let Source::Seed(rng) = &self.store.borrow().source else {
            return Err(Error::failed("only parameters from a seed are made again"));
        };
        let again = Self::seeded(Rng::clone(rng), self.dtype(), &self.device());
        Ok(Self {
            path: self.path.clone(),
            findings: Rc::clone(&self.findings),
            ..again.with_kernels(self.kernels())
        })
    }

    /// Notes what a member found out about its points.
    pub fn found(&self, tried: &[Tried], warnings: &[String]) {
        self.findings.borrow_mut().add(tried, warnings);
    }

    /// What was found out so far.
    pub fn findings(&self) -> Findings {
        self.findings.borrow().clone()
    }

    /// The same store, for models that use these kernels.
    pub fn with_kernels(self, choice: mdn_kernels::Choice) -> Self {
        self.store.borrow_mut().kernels = choice;
        self
    }

    /// The kernels that models are built with.
    pub fn kernels(&self) -> mdn_kernels::Choice {
        self.store.borrow().kernels
    }

    /// The same store below `name`.
    pub fn at(&self, name: impl std::fmt::Display) -> Self {
        Self {
            store: Rc::clone(&self.store),
            path: self.full(&name.to_string()),
            findings: Rc::clone(&self.findings),
        }
    }

    fn full(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Floating-point format of the parameters.
    pub fn dtype(&self) -> DType {
        self.store.borrow().dtype
    }

    /// Where they live.
    pub fn device(&self) -> Device {
        self.store.borrow().device.clone()
    }

    /// Whether values come from a file or only shapes matter: then starting values are never
    /// computed, and a model needs no points to start from.
    pub fn is_loading(&self) -> bool {
        !matches!(self.store.borrow().source, Source::Seed(_))
    }

    /// The random stream that `name` starts from, for members that start together.
    ///
    /// # Errors
    /// When values come from a file.
    pub fn stream(&self, name: &str) -> Result<Rng> {
        match &self.store.borrow().source {
            Source::Seed(rng) => Ok(rng.fork(&self.full(name))),
            // Only shapes matter.
            Source::Shapes => Ok(Rng::new(0)),
            Source::File(_) => Err(Error::failed("parameters from a file have no stream")),
        }
    }

    /// A parameter of this shape. `start` gives its first value and is not called when loading.
    ///
    /// # Errors
    /// When a file lacks it or holds another shape, and when the name is taken.
    pub fn param(
        &self,
        name: &str,
        shape: impl Into<Shape>,
        trainable: bool,
        start: impl FnOnce(&mut Rng) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let shape = shape.into();
        // Before anything of that size is allocated.
        let have = self.total();
        if shape.elem_count() > MAX_NUMBERS - have.min(MAX_NUMBERS) {
            return Err(Error::request(format!(
                "parameter `{}` of shape {:?}: expected at most {MAX_NUMBERS} numbers in all parameters \
                 together (try fewer layers or smaller widths)",
                self.full(name),
                shape.dims()
            )));
        }
        let counting = matches!(self.store.borrow().source, Source::Shapes);
        let tensor = self.any_shape(name, trainable, |rng| {
            let zeros = || Ok(Tensor::zeros(&shape, DType::F32, &Device::Cpu)?);
            match (counting, trainable) {
                (false, _) => start(rng),
                (true, true) => zeros(),
                // A fixed value may have to be valid, such as an order of coordinates.
                (true, false) => start(rng).or_else(|_| zeros()),
            }
        })?;
        if tensor.shape() == &shape {
            return Ok(tensor);
        }
        Err(Error::request(format!(
            "parameter `{}`: expected shape {:?}; got {:?}",
            self.full(name),
            shape.dims(),
            tensor.dims()
        )))
    }

    /// A value whose shape also comes from the file (or `start`), such as cluster centres whose
    /// number was chosen from the data.
    pub fn any_shape(
        &self,
        name: &str,
        trainable: bool,
        start: impl FnOnce(&mut Rng) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let full = self.full(name);
        // `start` may add parameters itself, so the store must not be borrowed while it runs.
        let (dtype, device) = (self.dtype(), self.device());
        let given = match &self.store.borrow().source {
            Source::File(tensors) => {
                let missing = || Error::request(format!("parameter `{full}`: not in the file"));
                Some(tensors.get(&full).cloned().ok_or_else(missing)?)
            }
            Source::Seed(_) | Source::Shapes => None,
        };
        let value = match given {
            None => start(&mut self.stream(name)?)?,
            Some(tensor) if tensor.dtype().is_float() && tensor.dtype() != dtype => {
                return Err(Error::request(format!(
                    "parameter `{full}`: expected numbers in {dtype:?}; got {:?}",
                    tensor.dtype()
                )))
            }
            Some(tensor) => tensor,
        };
        let value = if value.dtype().is_float() {
            value.to_dtype(dtype)?
        } else {
            value
        };
        let var = Var::from_tensor(&value.to_device(&device)?.copy()?)?;
        let tensor = var.as_tensor().clone();
        let taken = self
            .store
            .borrow_mut()
            .vars
            .insert(full.clone(), (var, trainable));
        if taken.is_some() {
            return Err(Error::failed(format!("parameter `{full}`: made twice")));
        }
        Ok(tensor)
    }

    /// A trainable parameter from N(0, std^2).
    pub fn normal(&self, name: &str, shape: impl Into<Shape>, std: f64) -> Result<Tensor> {
        let shape = shape.into();
        self.param(name, shape.clone(), true, |rng| {
            Ok((rng.normal_tensor(shape, DType::F64, &Device::Cpu)? * std)?)
        })
    }

    /// A trainable parameter that starts at `values`.
    pub fn values(&self, name: &str, shape: impl Into<Shape>, values: Vec<f64>) -> Result<Tensor> {
        let shape = shape.into();
        self.param(name, shape.clone(), true, |_| {
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
        })
    }

    /// The trainable parameters with their names, sorted.
    pub fn trainable(&self) -> Vec<(String, Var)> {
        let store = self.store.borrow();
        store
            .vars
            .iter()
            .filter(|(_, (_, trainable))| *trainable)
            .map(|(name, (var, _))| (name.clone(), var.clone()))
            .collect()
    }

    /// The trainable parameters alone, in the same order.
    pub fn trained(&self) -> Vec<Var> {
        self.trainable().into_iter().map(|(_, var)| var).collect()
    }

    fn total(&self) -> usize {
        let store = self.store.borrow();
        store.vars.values().map(|(v, _)| v.elem_count()).sum()
    }

    /// Refuses a file with parameters that the model does not have: it belongs to another model.
    pub fn check_all_used(&self) -> Result<()> {
        let store = self.store.borrow();
        let Source::File(tensors) = &store.source else {
            return Ok(());
        };
        match tensors.keys().find(|name| !store.vars.contains_key(*name)) {
            None => Ok(()),
            Some(name) => Err(Error::request(format!(
                "expected the parameters of the model in config.toml; got one more, `{name}`"
            ))),
        }
    }

    /// Says that a fixed mask sets this many entries of a trainable parameter to 0.
    pub fn add_masked(&self, entries: usize) {
        self.store.borrow_mut().masked += entries;
    }

    /// Number of trainable numbers on which the model depends.
    pub fn count(&self) -> usize {
        let all: usize = self.trainable().iter().map(|(_, v)| v.elem_count()).sum();
        all - self.store.borrow().masked
    }

    /// Trainable weights of networks, one multiply-add each per point and pass; `None` where there are
    /// none. Masked weights do not count.
    pub fn multiply_adds(&self) -> Option<usize> {
        let weights = self.trainable().into_iter();
        let weights = weights.filter(|(name, _)| name.ends_with(".weight"));
        let sizes: Vec<usize> = weights.map(|(_, var)| var.elem_count()).collect();
        (!sizes.is_empty()).then(|| sizes.iter().sum())
    }

    /// Copies of all values, the untrained ones included.
    pub fn snapshot(&self) -> Result<Snapshot> {
        let store = self.store.borrow();
        store
            .vars
            .iter()
            .map(|(name, (var, _))| Ok((name.clone(), var.as_tensor().copy()?)))
            .collect()
    }

    /// Puts a snapshot's values back.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<()> {
        let store = self.store.borrow();
        for (name, (var, _)) in &store.vars {
            if let Some(value) = snapshot.get(name) {
                var.set(&value.copy()?)?;
            }
        }
        Ok(())
    }

    /// Parameters with these values, in their format.
    #[cfg(test)]
    pub fn holding<const N: usize>(values: [(&str, Tensor); N]) -> Self {
        let dtype = values[0].1.dtype();
        let values = values.map(|(name, value)| (name.to_owned(), value));
        Self::from_tensors(values.into(), dtype, &Device::Cpu)
    }

    /// Adds noise to every trainable parameter, to test laws away from the start.
    #[cfg(test)]
    pub fn perturb(&self, std: f64, rng: &mut Rng) {
        for (_, var) in self.trainable() {
            let noise = rng
                .normal_tensor(var.shape().clone(), var.dtype(), var.device())
                .unwrap();
            var.set(&(var.as_tensor() + (noise * std).unwrap()).unwrap())
                .unwrap();
        }
    }
}

/// The slope of `value` along a random direction through `vars`: by its gradient, all numbers in one
/// row, and by a central difference.
#[cfg(test)]
pub fn slopes_along(
    vars: &[Var],
    gradient: &[f64],
    step: f64,
    rng: &mut Rng,
    value: impl Fn() -> f64,
) -> [f64; 2] {
    let mut places = Vec::new();
    for var in vars {
        let normal = rng.normal_tensor(var.shape(), var.dtype(), var.device());
        places.push((var, var.copy().unwrap(), normal.unwrap()));
    }
    let set = |by: f64| {
        for (var, start, direction) in &places {
            let moved = (start + (direction * by).unwrap()).unwrap();
            var.set(&moved).unwrap();
        }
    };
    let [above, below] = [step, -step].map(|by| {
        set(by);
        value()
    });
    set(0.0);
    let direction = places
        .iter()
        .flat_map(|place| crate::num::testing::values(&place.2));
    let slope = gradient.iter().zip(direction).map(|(g, d)| g * d).sum();
    [slope, (above - below) / (2.0 * step)]
}

#[cfg(test)]
mod tests;
