//! The models that can be asked: by name, with their prices, in the order in which one stands in for another.

mod breaker;
mod embedded;

use std::fmt;
use std::sync::Arc;

pub(crate) use breaker::Breaker;
pub(crate) use embedded::{Embedded, NAME as EMBEDDED_NAME};

use crate::budget::Price;
use crate::error::{JokesError, Result};
use crate::ports::{JokeModel, ModelInfo};

/// A model, what it costs and how it does.
pub(crate) struct Entry {
    pub(crate) model: Arc<dyn JokeModel>,
    pub(crate) price: Price,
    pub(crate) breaker: Breaker,
}

/// All models. Clones share them.
#[derive(Clone)]
pub(crate) struct Models {
    /// The default one first.
    all: Arc<[Arc<Entry>]>,
    /// Names of those that stand in for one that fails, in their order.
    fallback: Arc<[String]>,
}

impl Entry {
    /// A model that nothing is known of yet.
    pub(crate) fn new(model: Arc<dyn JokeModel>, price: Price) -> Self {
        Self { model, price, breaker: Breaker::default() }
    }

    /// What it is.
    pub(crate) fn info(&self) -> &ModelInfo {
        self.model.info()
    }
}

impl Models {
    /// At least one model, the default one first.
    pub(crate) fn new(all: Vec<Entry>, fallback: Vec<String>) -> Self {
        Self { all: all.into_iter().map(Arc::new).collect(), fallback: fallback.into() }
    }

    /// All, the default one first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.all.iter()
    }

    /// The model of that name, or the default one for no name; then those that stand in for it.
    pub(crate) fn chain(&self, name: &str) -> Result<Vec<Arc<Entry>>> {
        let first = if name.is_empty() { self.all.first() } else { self.find(name) };
        let first = first.ok_or_else(|| JokesError::unknown_model(name))?;
        let others = self.fallback.iter().filter_map(|name| self.find(name));
        let others = others.filter(|entry| entry.info().name != first.info().name);
        Ok([first].into_iter().chain(others).cloned().collect())
    }

    fn find(&self, name: &str) -> Option<&Arc<Entry>> {
        self.all.iter().find(|entry| entry.info().name == name)
    }
}

impl fmt::Debug for Models {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|entry| &entry.info().name)).finish()
    }
}
